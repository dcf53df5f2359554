// The paper's figure: each block opens its step on the picture, and the words of the step stand beside it.

import { element, signOf } from "./draw.js";
import { nameOfLook } from "./looks.js";
import { number } from "./phrases.js";
import { countsAt } from "./steplines.js";

export function showNetwork(pane) {
  const { root, store } = pane;
  const figure = root.querySelector("[data-part=figure]");
  const panel = root.querySelector("[data-part=step]");
  figure.addEventListener("click", ({ target }) => openFrom(pane, target));
  figure.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    if (openFrom(pane, event.target)) event.preventDefault();
  });
  store.whenChanged((now, changed) => {
    if (!["step", "outcome", "trail", "moment", "look"].some((name) => changed.has(name))) return;
    const shown = now.trail ? now.trail[now.moment].step : now.step;
    for (const block of figure.querySelectorAll("[data-step]")) {
      block.setAttribute("aria-pressed", String(block.dataset.step === shown));
    }
    panel.replaceChildren(...(shown ? stepCard(pane, now, shown) : [hint()]));
  });
}

function openFrom(pane, target) {
  const block = target.closest("[data-step]");
  if (block) pane.openStep(block.dataset.step);
  return Boolean(block);
}

function hint() {
  return element("p", { class: "soft" }, "Choose a block to see on the picture what its step did.");
}

function stepCard(pane, now, name) {
  const at = now.trail ? now.subject.look : now.look;
  const counts = countsAt(pane.trace, now, name, at);
  const told = pane.trace.passes[at].steps.find((step) => step.name === name);
  const lines = [element("h3", {}, pane.titleOf(name))];
  const ofLook = name.startsWith("merge ") ? "" : nameOfLook(pane.trace, at);
  if (ofLook) lines.push(element("p", { class: "soft" }, `Of look ${ofLook}.`));
  if (counts) {
    lines.push(element("p", { class: "count" }, `${number(counts.came)} came in, ${number(counts.went)} went on`));
  }
  if (told && !now.turned) lines.push(legendOf(pane, told));
  return [...lines, pane.wordsOf(name, at)];
}

/** Each reason with the line that it has on the picture. */
function legendOf({ trace }, { reasons }) {
  const rows = Object.entries(reasons).map(([reason, count]) =>
    element("span", {}, signOf(trace.reasons.indexOf(reason)), ` ${reason}: ${number(count)}`),
  );
  return element("p", { class: "legend" }, ...rows);
}
