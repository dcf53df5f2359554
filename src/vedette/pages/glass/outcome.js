// What a detector finds at the knobs as they stand: every look anew, then all looks merged.

import { iou } from "./boxes.js";
import { detectionsOf, find } from "./find.js";

const VOTING_IOU = 0.5;

/** The stage whose candidates become detections. */
export function lastStage(look) {
  return look.stages.at(-1);
}

/** The knobs as the trace has them. */
export function knobsOf(trace) {
  const { floor, iou: overlap, theta, sigma, method } = lastStage(trace.passes[0]).rule;
  return { floor, iou: overlap, theta, sigma, method };
}

/** {looks: what `find` did of each, detections: what is shown, merged: what the merging did, null of one look}. */
export function outcomeOf(trace, knobs) {
  const looks = trace.passes.map((look) => find(lastStage(look).candidates, { ...lastStage(look).rule, ...knobs }));
  const seen = trace.passes.map((look, number) =>
    detectionsOf(look, trace.picture, lastStage(look).candidates, looks[number]),
  );
  const each = seen.flatMap((detections, look) => detections.map((one) => ({ ...one, look })));
  if (!trace.merge) return { looks, detections: each, merged: null };
  const given = asCandidates(each);
  const merged = find(given, { ...trace.merge.rule, ...knobs, theta: null, pick: { of: "image" }, least_side: 0 });
  const detections = merged.kept.map((place) => ({ ...each[place], score: merged.after[place] }));
  if (trace.merge.votes) for (const one of detections) one.box = votedBox(one, each);
  return { looks, detections, merged: { ...merged, given: each } };
}

/** The detections of all looks, as candidates by descending score. */
function asCandidates(each) {
  each.sort((one, other) => other.score - one.score);
  const labels = Int32Array.from(each, (one) => one.label);
  return {
    rows: labels,
    labels,
    group: labels,
    boxes: Float32Array.from(each.flatMap((one) => one.box)),
    scores: Float32Array.from(each, (one) => one.score),
    emptiness: new Float32Array(each.length),
  };
}

/** The boxes of its class, of all looks, that agree with one; its own is among them. */
export function votersOf(one, each) {
  return each.filter((other) => other.label === one.label && iou(one.box, other.box) >= VOTING_IOU);
}

/** The mean of the boxes that agree with it, weighted by their scores. */
function votedBox(one, each) {
  const agree = votersOf(one, each);
  const total = agree.reduce((sum, other) => sum + other.score, 0);
  const mean = (side) => agree.reduce((sum, other) => sum + other.score * other.box[side], 0) / total;
  return total > 0 ? [0, 1, 2, 3].map(mean) : one.box;
}
