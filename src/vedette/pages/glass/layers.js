// Which layer lies on the picture: what was found, the grid of a level, a heat map, or the ground truth.

import { cellOf } from "./anchors.js";
import { element } from "./draw.js";
import { wordsOfCell, wordsOfHeat } from "./grid.js";
import { heatChoices } from "./heat.js";
import { nameOfLook } from "./looks.js";
import { lastStage } from "./outcome.js";

export function showLayers(pane) {
  const { root, store, trace } = pane;
  const [{ levels: level }] = trace.passes;
  const select = (name) => root.querySelector(`[data-part=${name}]`);
  const [levels, heats, looks, readout] = ["level", "heat-of", "looks", "readout"].map(select);
  const buttons = [...root.querySelectorAll("[data-layer]")];
  looks.append(...trace.passes.map((one, at) => element("option", { value: at }, nameOfLook(trace, at))));
  looks.parentElement.hidden = trace.passes.length === 1;
  looks.addEventListener("change", () => pane.chooseLook(Number(looks.value)));
  const choices = heatChoices(trace);
  heats.append(...choices.map(({ value, name }) => element("option", { value }, name)));
  for (const button of buttons) {
    button.disabled = { grid: !level.length, heat: !choices.length }[button.dataset.layer] ?? false;
    button.addEventListener("click", () => pane.showLayer(button.dataset.layer));
  }
  levels.addEventListener("change", () => store.change({ level: Number(levels.value), cell: null }));
  heats.addEventListener("change", () => store.change({ heat: heats.value }));
  store.change({ heat: choices[0]?.value ?? null, level: levelOfBest(trace) });
  store.whenChanged((now, changed) => {
    if (!["layer", "level", "cell", "heat", "trail", "step", "look"].some((name) => changed.has(name))) return;
    if (changed.has("look")) levels.replaceChildren(...levelsOf(trace.passes[now.look]));
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.layer === now.layer));
    levels.parentElement.hidden = ["found", "truth"].includes(now.layer);
    select("ask-for").hidden = now.layer !== "found";
    heats.parentElement.hidden = now.layer !== "heat";
    levels.value = now.level;
    looks.value = now.look;
    if (now.heat !== null) heats.value = now.heat;
    readout.textContent = readoutOf(trace, now, level.length);
  });
}

function levelsOf({ levels }) {
  return levels.map((one, at) => element("option", { value: at }, `level ${at + 1}: ${one.rows} × ${one.columns}`));
}

/** The level that the best candidate's anchor is of: there is something to see. */
function levelOfBest(trace) {
  const [look] = trace.passes;
  const [source] = lastStage(look).candidates.source;
  return look.levels.length && source !== undefined ? cellOf(look.levels, source).level : 0;
}

function readoutOf(trace, now, levels) {
  if (now.layer === "grid") return wordsOfCell(trace, now);
  if (now.layer === "heat") return wordsOfHeat(trace.passes[now.look], now);
  if (now.layer === "truth") return "Green, in dashes and dots: what is annotated; in dots alone: what is ignored.";
  if (!levels) return "Click anywhere, or draw a box, to ask what became of what is there. Regions have no grid.";
  return "Click anywhere, or draw a box, to ask what became of what is there.";
}
