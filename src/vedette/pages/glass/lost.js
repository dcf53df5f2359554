// Where an object was lost: the first step after which nothing is left that would have found it. The page's own copy
// of `trace.lost` in Python, which a test holds to the same answers.

import { cut, iou } from "./boxes.js";
import { KEPT, LOST_IN, MISPLACED, NOT_PROPOSED, NO_ANCHOR, STEPS } from "./reasons.js";
import { asksForObjects, fateAt, finalBox, firstBox, isBarred, movedBox, scoreAt } from "./rows.js";
import { lastStage } from "./outcome.js";

const REACHES = 0.5; // IoU from which on a box is the object's
const [REFINE, FLOOR, , DECODE, SUPPRESS] = STEPS.keys();

/**
 * The step that lost the object of that class in that box of the picture, and the best candidate for it there. others:
 * boxes of other objects of its class; a look's box that overlaps one of them more is that one's.
 * → {reason, step, look, stage, row, label, box, iou, score, exact, won, wonScore, by, overlap,
 * above}; reason KEPT: it was found.
 */
export function lostAt(trace, outcome, knobs, box, label, others = []) {
  const order = stepsInOrder(trace.passes[0]);
  const seen = trace.passes.map((look, number) => lostInLook(trace, outcome, knobs, number, { box, label, others }));
  const depth = (lost) => [lost.reason === KEPT ? 1 : 0, order.indexOf(lost.step), lost.iou];
  const furthest = seen.reduce((best, lost) => (isAbove(depth(lost), depth(best)) ? lost : best));
  if (!outcome.merged || furthest.reason !== KEPT) return furthest;
  return lostInMerge(outcome, box, label, furthest);
}

/** The names of all steps of a look. */
function stepsInOrder(look) {
  return look.stages.flatMap((stage) => [stage.enter, ...STEPS.map((step) => stage.name + step)]);
}

function isAbove(one, other) {
  const place = one.findIndex((value, at) => value !== other[at]);
  return place >= 0 && one[place] > other[place];
}

function lostInLook(trace, outcome, knobs, number, { box, label, others }) {
  const look = trace.passes[number];
  const last = lastStage(look);
  const context = { trace, look, number, stage: last, label, knobs, found: outcome.looks[number] };
  const reach = reachOf(context, box, others);
  if (look.stages.length === 1 || reach.best.some((value) => value >= REACHES)) return lostInStage(context, reach);
  const first = { ...context, stage: look.stages[0], label: 0, found: null };
  return lostInStage(first, reachOf(first, box));
}

/** IoU of all rows with the box along their way: as anchors or regions, after the first move, as boxes of the class. */
function reachOf({ trace, look, stage, label }, box, others = []) {
  const reach = { first: [], moved: [], final: [], best: [], nearest: [] };
  for (let row = 0; row < stage.rows; row++) {
    const first = iou(firstBox(look, stage, row), box);
    const moved = asksForObjects(stage) ? iou(movedBox(look, stage, row), box) : first;
    const end = cut(finalBox(look, stage, row, label), trace.picture);
    const final = iou(end, box);
    reach.first.push(first);
    reach.moved.push(moved);
    reach.final.push(final);
    reach.best.push(Math.max(first, moved, final));
    reach.nearest.push(others.every((other) => iou(end, other) <= final));
  }
  return reach;
}

function lostInStage(context, reach) {
  const { look, stage, label, found, knobs } = context;
  const reaching = [...reach.best.keys()].filter((row) => reach.best[row] >= REACHES);
  if (!reaching.length) return unreached(context, reach);
  const fates = new Map(reaching.map((row) => [row, fateAt(look, stage, row, label, found, knobs)]));
  const reached = new Map(reaching.map((row) => [row, depthOf(context, row, fates.get(row))]));
  const ends = (row) => (isMisplaced(reach, row, reached.get(row)) ? DECODE : reached.get(row));
  const deepest = Math.max(...reaching.map(ends));
  const measure =
    {
      [REFINE]: (row) => stage.objectness[row],
      [FLOOR]: (row) => scoreAt(look, stage, row, label).score,
    }[deepest] ?? ((row) => reach.final[row]);
  const here = reaching.filter((row) => ends(row) === deepest);
  const row = here.reduce((best, one) => (measure(one) > measure(best) ? one : best));
  const reason = isMisplaced(reach, row, reached.get(row)) ? MISPLACED : fates.get(row);
  return told(context, reach, row, deepest, reason, winnerOf(context, reaching));
}

function depthOf({ stage, knobs }, row, fate) {
  return isBarred(stage, row, knobs.theta) ? REFINE : LOST_IN[fate];
}

/** Whether a row that goes on is no longer on the object, or nearer to another: it does not find it from there on. */
function isMisplaced(reach, row, depth) {
  return depth > DECODE && !(reach.final[row] >= REACHES && reach.nearest[row]);
}

/** The same for a box that the detector itself had, {look, row, label}: what became of that very one. */
export function fateOf(trace, outcome, knobs, { look: number, row, label }) {
  const look = trace.passes[number];
  const stage = lastStage(look);
  const context = { trace, look, number, stage, label, knobs, found: outcome.looks[number] };
  const fate = fateAt(look, stage, row, label, context.found, knobs);
  const end = finalBox(look, stage, row, label);
  const of = (box) => ({ [row]: iou(box, end) });
  const reach = { first: of(firstBox(look, stage, row)), moved: of(movedBox(look, stage, row)), final: of(end) };
  return told(context, reach, row, depthOf(context, row, fate), fate, winnerOf(context, [row]));
}

/** No anchor, or region, comes near. */
function unreached({ look, number, stage, label }, reach) {
  const row = reach.first.reduce((best, value, at) => (best < 0 || value > reach.first[best] ? at : best), -1);
  return {
    ...{ reason: NO_ANCHOR, step: stage.enter, look: number, stage, row, label, exact: false, above: "" },
    ...{ won: -1, wonScore: 0, by: -1, overlap: 0 },
    box: row < 0 ? null : firstBox(look, stage, row),
    iou: row < 0 ? 0 : reach.first[row],
    score: row < 0 ? 0 : stage.objectness[row],
  };
}

function told({ look, number, stage, label, found }, reach, row, depth, reason, winner) {
  const early = depth === REFINE && asksForObjects(stage);
  const { score, exact } = scoreAt(look, stage, row, label);
  const place = stage.placeOf.get(row * stage.classes + label);
  const suppressed = depth === SUPPRESS && place !== undefined;
  const outcome = found ?? stage.candidates;
  return {
    ...{ look: number, stage, row, label, exact, ...winner },
    reason: stage.last || reason === MISPLACED ? reason : NOT_PROPOSED,
    step: stage.name + STEPS[Math.min(depth, STEPS.length - 1)],
    box: early ? movedBox(look, stage, row) : finalBox(look, stage, row, label),
    iou: early ? reach.moved[row] : reach.final[row],
    score: early ? stage.objectness[row] : score,
    by: suppressed ? outcome.by[place] : -1,
    overlap: suppressed ? outcome.overlap[place] : 0,
    above: lastAbove(stage, reach, row),
  };
}

/** The other class of highest score on the rows that reach the object, among what the page knows. */
function winnerOf({ stage, label }, reaching) {
  const winner = { won: -1, wonScore: 0 };
  const offer = (won, wonScore) => {
    if (won !== label && wonScore > winner.wonScore) Object.assign(winner, { won, wonScore });
  };
  if (!stage.last || stage.classes < 2) return winner;
  for (const row of reaching) {
    offer(stage.best.labels[row], stage.best.scores[row]);
    for (const place of stage.placesOf.get(row) ?? []) {
      offer(stage.candidates.labels[place], stage.candidates.scores[place]);
    }
  }
  return winner;
}

/** The last step at which a row was on the object; "" where it never was. */
function lastAbove(stage, reach, row) {
  if (reach.final[row] >= REACHES) return `${stage.name}decode`;
  if (asksForObjects(stage) && reach.moved[row] >= REACHES) return `${stage.name}refine`;
  return reach.first[row] >= REACHES ? stage.enter : "";
}

/** Where the merging of several looks lost what one of them had. */
function lostInMerge({ merged, detections }, box, label, seen) {
  const reaches = (one) => one.label === label && iou(one.box, box) >= REACHES;
  const near = (list) => list.filter(reaches).sort((one, other) => iou(other.box, box) - iou(one.box, box));
  const [found] = near(detections);
  if (found) return { ...seen, step: "merge keep", box: found.box, score: found.score, iou: iou(found.box, box) };
  const places = [...merged.given.keys()].filter((place) => reaches(merged.given[place]));
  const place = places.reduce((best, one) => (merged.after[one] > merged.after[best] ? one : best));
  const fate = merged.fates[place];
  if (fate === KEPT) return { ...seen, step: "vote", reason: MISPLACED };
  const step = LOST_IN[fate] === SUPPRESS ? "merge suppress" : "merge keep";
  const { box: own, score } = merged.given[place];
  return { ...seen, reason: fate, step, box: own, score, iou: iou(own, box) };
}
