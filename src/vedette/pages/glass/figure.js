// The paper's figure as Python drew it, with this picture in it and what became of it in each step.

import { many, number } from "./phrases.js";

/** panel: whose figure it is; address: the picture's. */
export function fillFigure(panel, { passes: [{ steps }] }, address) {
  for (const image of panel.querySelectorAll("image")) image.setAttribute("href", address);
  const largest = Math.max(...steps.map((step) => step.in));
  for (const step of steps) {
    for (const block of panel.querySelectorAll(`[data-step="${step.name}"]`)) fillBlock(block, step, largest);
  }
}

function fillBlock(block, step, largest) {
  Object.assign(block.dataset, { in: step.in, out: step.on });
  const title = block.querySelector("title");
  const says = `${title.textContent.split(":")[0]}: ${number(step.in)} in, ${number(step.on)} on`;
  title.textContent = says;
  block.setAttribute("aria-label", says);
  const [bar, track, count] = [".bar", ".track", "[data-unit]"].map((part) => block.querySelector(part));
  if (!bar) return;
  count.firstElementChild.textContent = `${number(step.in)} → ${many(step.on, count.dataset.unit)}`;
  const [left, full] = [Number(bar.getAttribute("x")), Number(bar.dataset.full)];
  const [came, went] = [step.in, step.on].map((value) => (full * Math.log1p(value)) / Math.log1p(largest));
  bar.setAttribute("width", went.toFixed(1));
  track.setAttribute("x", (left + went).toFixed(1));
  track.setAttribute("width", (came - went).toFixed(1));
}
