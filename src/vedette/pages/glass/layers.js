// Which layer lies on the picture: what was found, the grid of a level, or a heat map.

import { element } from "./draw.js";
import { wordsOfCell } from "./grid.js";
import { heatChoices } from "./heat.js";

export function showLayers(pane) {
  const { root, store, trace } = pane;
  const [level] = trace.passes.slice(0, 1).map((look) => look.levels);
  const select = (name) => root.querySelector(`[data-part=${name}]`);
  const [levels, heats, readout] = [select("level"), select("heat-of"), select("readout")];
  const buttons = [...root.querySelectorAll("[data-layer]")];
  levels.append(...level.map((one, at) => element("option", { value: at }, `level ${at + 1}: ${one.rows} × ${one.columns}`)));
  const choices = heatChoices(trace);
  heats.append(...choices.map(({ value, name }) => element("option", { value }, name)));
  for (const button of buttons) {
    button.disabled = { grid: !level.length, heat: !choices.length }[button.dataset.layer] ?? false;
    button.addEventListener("click", () => pane.showLayer(button.dataset.layer));
  }
  levels.addEventListener("change", () => store.change({ level: Number(levels.value), cell: null }));
  heats.addEventListener("change", () => store.change({ heat: heats.value }));
  store.change({ heat: choices[0]?.value ?? null });
  store.whenChanged((now, changed) => {
    if (!["layer", "level", "cell", "heat", "trail", "step"].some((name) => changed.has(name))) return;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.layer === now.layer));
    levels.parentElement.hidden = now.layer === "found";
    heats.parentElement.hidden = now.layer !== "heat";
    levels.value = now.level;
    if (now.heat !== null) heats.value = now.heat;
    readout.textContent = readoutOf(trace, now, level.length);
  });
}

function readoutOf(trace, now, levels) {
  if (now.layer === "grid") return wordsOfCell(trace, now);
  if (now.layer === "heat") return "Bright: more likely. Each square is a cell of the level.";
  if (!levels) return "Click anywhere, or draw a box, to ask what became of what is there. Regions have no grid.";
  return "Click anywhere, or draw a box, to ask what became of what is there.";
}
