// What the ground truth is drawn as: its objects, and who learns one of them, counts as background, or is left out.

import { boxAt, cut } from "./boxes.js";
import { outline, veil } from "./draw.js";
import { MOST_BOXES } from "./limits.js";
import { lostAt } from "./lost.js";

/** Where an object of the ground truth is found or lost at the knobs as they are; a box may be another object's. */
export function lostOf({ trace, view }, { outcome, knobs }, object) {
  const { box, label } = view.taught.objects[object];
  const others = view.taught.objects.filter((one, place) => place !== object && one.label === label);
  return lostAt(
    trace,
    outcome,
    knobs,
    box,
    label,
    others.map((one) => one.box),
  );
}

/** The rows of a head that learn an object. */
export function learnersOf({ learn }, object) {
  return [...learn.objects.keys()].filter((row) => learn.objects[row] === object);
}

/** lesson: null; {object, head} for who learns an object; {rest: "background" or "ignored", head}. */
export function truthLines(pane, { lesson }) {
  const { objects, heads } = pane.view.taught;
  const all = objects.map(objectLine);
  if (!lesson) return all;
  const head = heads[lesson.head];
  if (lesson.rest) return [...restLines(head[lesson.rest], lesson.rest), ...all];
  const own = objects[lesson.object];
  const rows = learnersOf(head, lesson.object).slice(0, MOST_BOXES);
  const lines = rows.map((row) => learnerLine(head.learn, row));
  return [veil(pane.trace.picture, cut(own.box, pane.trace.picture)), ...lines, objectLine(own)];
}

function objectLine({ box, ignored }) {
  return outline(box, { kind: "truth", dash: ignored ? "1 3" : "12 3 2 3 2 3", width: 3 });
}

/** Solid: it overlaps the object enough; in dashes and dots: it is its best all the same. */
function learnerLine({ boxes, best }, row) {
  return outline(boxAt(boxes, row), {
    kind: best[row] ? "anchor" : "kept",
    dash: best[row] ? "10 3 2 3" : "",
    width: 1.4,
  });
}

function restLines({ boxes }, rest) {
  const look = rest === "background" ? { kind: "suppressed", dash: "7 4" } : { kind: "small", dash: "3 3" };
  return Array.from({ length: boxes.length / 4 }, (_, row) =>
    outline(boxAt(boxes, row), { ...look, width: 1.4 }),
  ).reverse();
}
