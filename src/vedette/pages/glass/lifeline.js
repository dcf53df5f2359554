// The life line of a box beside the picture: its moments as a row of buttons, played one after the other.

import { element } from "./draw.js";
import { KEPT, markOf } from "./reasons.js";

const STAY = 2200; // milliseconds at a moment, to read it
const MOVE = 700; // on the way to the next
const SHORT = {
  ...{ anchors: "anchor", regions: "region", refine: "1st move", floor: "class", pick: "best", decode: "move" },
  ...{ suppress: "NMS", keep: "kept", frame: "picture" },
  ...{ "merge suppress": "looks", "merge keep": "kept" },
};

export function showLifeline(pane) {
  const { root, store } = pane;
  const [panel, row, card, play] = ["life", "moments", "card", "play"].map((name) =>
    root.querySelector(`[data-part=${name}]`),
  );
  const player = makePlayer(pane);
  play.addEventListener("click", () => player.toggle());
  root.querySelector("[data-part=back]").addEventListener("click", () => pane.goTo(store.now.moment - 1));
  root.querySelector("[data-part=next]").addEventListener("click", () => pane.goTo(store.now.moment + 1));
  root.querySelector("[data-part=close]").addEventListener("click", () => pane.leave());
  store.whenChanged((now, changed) => {
    panel.hidden = !now.trail;
    root.classList.toggle("busy", Boolean(now.trail || now.answer));
    root.querySelector("[data-part=invite]").hidden = Boolean(now.trail || now.answer);
    play.textContent = now.playing ? "❚❚ Pause" : "▶ Play";
    if (!now.trail || !(changed.has("trail") || changed.has("moment"))) return;
    root.querySelector("[data-part=name]").textContent = now.subjectName;
    row.replaceChildren(...now.trail.map((moment, number) => momentButton(pane, now, moment, number)));
    row.children[now.moment]?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    card.replaceChildren(...cardOf(pane, now.trail[now.moment], now));
  });
  return player;
}

function momentButton(pane, now, { step, fate }, number) {
  const current = number === now.moment;
  const title = pane.titleOf(step);
  const kind = fate === KEPT ? "" : `lost ${markOf(fate).name}`;
  const attributes = { class: kind, "aria-current": current ? "step" : null, title, onclick: () => pane.goTo(number) };
  const words = element("span", {}, step.startsWith("rpn ") ? `RPN ${SHORT[step.slice(4)]}` : SHORT[step]);
  return element(
    "li",
    {},
    element("button", attributes, element("i", {}, fate === KEPT ? "" : markOf(fate).sign), words),
  );
}

function cardOf(pane, { step, text, facts, fate }, { trail, moment, subject }) {
  const head = element("h3", {}, `${moment + 1} of ${trail.length}: ${pane.titleOf(step)}`);
  const said = element(
    "p",
    { class: fate === KEPT ? "" : "verdict" },
    fate === KEPT ? text : `${markOf(fate).sign} ${text}`,
  );
  const rows = facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]).flat();
  return [head, said, element("dl", {}, ...rows), pane.wordsOf(step, subject.look)];
}

/** Plays the moments; whoever wants no motion sees them change at once. */
function makePlayer({ store, goTo }) {
  let timer = null;
  let frame = null;
  const stop = () => {
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    store.change({ playing: false, between: null });
  };
  const step = () => {
    const { trail, moment, playing } = store.now;
    if (!playing || !trail) return;
    if (moment + 1 >= trail.length) return stop();
    goTo(moment + 1, false);
    timer = setTimeout(step, STAY);
  };
  const start = () => {
    const { trail, moment } = store.now;
    if (!trail) return;
    const again = moment + 1 >= trail.length;
    store.change({ playing: true });
    if (again) goTo(0, false);
    timer = setTimeout(step, again || moment === 0 ? STAY : 300);
  };
  const glide = (from, to) => {
    cancelAnimationFrame(frame);
    if (wantsNoMotion()) return store.change({ between: null });
    const begin = performance.now();
    const draw = (time) => {
      const share = Math.min(1, (time - begin) / MOVE);
      const eased = share * share * (3 - 2 * share);
      store.change({ between: share < 1 ? from.map((side, at) => side + (to[at] - side) * eased) : null });
      if (share < 1) frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
  };
  return { stop, glide, start, toggle: () => (store.now.playing ? stop() : start()) };
}

export function wantsNoMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
