// What the keyboard does: everything that the pointer does, too.

import { spanned } from "./ask.js";
import { cellAt } from "./grid.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.02; // of the picture's sides; five times as much with Shift

/** On the picture: arrows move a cross, Enter asks there, b begins a box that Enter ends. */
export function listenToStage(pane) {
  const stage = pane.root.querySelector("[data-part=stage]");
  let corner = null;
  stage.addEventListener("keydown", (event) => {
    const { now } = pane.store;
    if (event.target !== stage) return;
    if (event.key in ARROWS) {
      event.preventDefault();
      if (["grid", "heat"].includes(now.layer)) moveCell(pane, ARROWS[event.key]);
      else moveCross(pane, ARROWS[event.key], event.shiftKey, corner);
    } else if (event.key === "b" && now.cross) {
      corner = now.cross;
    } else if (event.key === "Enter" && now.cross) {
      pane.ask(corner ? spanned(corner, now.cross) : now.cross);
      corner = null;
    }
  });
  stage.addEventListener("blur", () => {
    corner = null;
    pane.store.change({ cross: null, drawing: null });
  });
}

function moveCross({ trace, store }, [across, down], far, corner) {
  const { width, height } = trace.picture;
  const [x, y] = store.now.cross ?? [width / 2, height / 2];
  const length = STEP * (far ? 5 : 1);
  const within = (value, side) => Math.min(Math.max(value, 0), side);
  const cross = [within(x + across * length * width, width), within(y + down * length * height, height)];
  store.change({ cross, drawing: corner ? spanned(corner, cross) : null });
}

function moveCell(pane, [across, down]) {
  const { trace, store } = pane;
  const { level, cell, look: number } = store.now;
  const look = trace.passes[number];
  const { rows, columns } = look.levels[level];
  const middle = cellAt(look, level, [trace.picture.width / 2, trace.picture.height / 2]);
  const { row, column } = cell ?? middle;
  const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
  store.change({ cell: { row: within(row + down, rows), column: within(column + across, columns) } });
}

/** Anywhere else on the page. → a function that ends it */
export function listenToPage(panes, tour) {
  const listen = (event) => {
    const writing = event.target.closest?.("input, select, textarea");
    const moving = event.target.closest?.("[data-part=stage], [role=tab]") && event.key in ARROWS;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return tour?.isOpen() ? tour.close() : panes.forEach((pane) => pane.leave());
    if (writing || moving) return;
    const [pane] = panes;
    const act = {
      ArrowRight: () => pane.goTo(pane.store.now.moment + 1),
      ArrowLeft: () => pane.goTo(pane.store.now.moment - 1),
      j: () => pane.select((pane.store.now.selected ?? -1) + 1),
      k: () => pane.select((pane.store.now.selected ?? 1) - 1),
      p: () => pane.player.toggle(),
      f: () => pane.showLayer("found"),
      g: () => pane.showLayer("grid"),
      h: () => pane.showLayer("heat"),
      a: () => pane.view.taught && pane.openTruth(),
      t: () => tour?.open(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}
