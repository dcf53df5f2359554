// The knobs: score, NMS and its IoU, θ, σ. What they change is on the picture at once.

import { lastStage, outcomeOf } from "./outcome.js";
import { plain } from "./phrases.js";

export function showSliders(pane) {
  const { root, store, trace } = pane;
  const inputs = [...root.querySelectorAll("[data-knob]")];
  for (const input of inputs) {
    input.addEventListener("input", () => pane.turn({ [input.dataset.knob]: valueOf(input) }));
  }
  root.querySelector("[data-part=reset]").addEventListener("click", () => pane.turn(pane.own));
  store.whenChanged((now, changed) => {
    if (!changed.has("knobs")) return;
    for (const input of inputs) showKnob(root, input, now.knobs, trace);
    root.querySelector("[data-part=reset]").disabled = !now.turned;
  });
}

function valueOf(input) {
  return input.type === "range" ? Number(input.value) : input.value;
}

/** The knob at its value; one that does nothing now is off: σ without Gaussian, IoU with it, θ without an ARM. */
function showKnob(root, input, knobs, trace) {
  const name = input.dataset.knob;
  const row = input.closest(".knob");
  row.hidden = name === "theta" && lastStage(trace.passes[0]).rule.theta === null;
  input.disabled = (name === "sigma" && knobs.method !== "gaussian") || (name === "iou" && knobs.method === "gaussian");
  row.classList.toggle("off", input.disabled);
  if (knobs[name] === null) return;
  input.value = knobs[name];
  const output = row.querySelector("output");
  if (output) output.textContent = toldOf(Number(knobs[name]));
}

/** Two or three digits; more where the value has more, as they are told elsewhere. */
function toldOf(value) {
  const text = value.toFixed(3);
  return Number(text) === value ? text.replace(/0$/, "") : plain(value);
}

/** What changes where knobs are turned: the outcome, and whether they differ from the trace's own. */
export function turned(trace, own, knobs) {
  const same = Object.keys(own).every((name) => own[name] === knobs[name]);
  return { knobs, turned: !same, outcome: outcomeOf(trace, knobs) };
}
