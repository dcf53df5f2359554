// What the detector had at a place of the picture, found or not.

import { contains, cut, iou } from "./boxes.js";
import { MOST_ANSWERS } from "./limits.js";
import { lastStage } from "./outcome.js";
import { finalBox, movedBox, scoreAt } from "./rows.js";

const SAME = 0.5; // IoU from which on two boxes of a class are one answer
const NARROW = 0.35; // of half a box's sides: how near its centre a point must be to count for much

/**
 * The boxes of a look that say most of a point, each of another class, the best first; of one class where a label is
 * given. Of what the detector all but excludes the likeliest alone. → [{look, stage, row, label, box, score, exact}]
 */
export function hypotheses(trace, number, point, label = null) {
  const look = trace.passes[number];
  const stage = lastStage(look);
  const offers = [];
  for (let row = 0; row < stage.rows; row++) {
    const own = label ?? stage.best.labels[row];
    const { score, exact } = scoreAt(look, stage, row, own);
    const box = cut(finalBox(look, stage, row, own), trace.picture);
    if (!contains(box, point)) continue;
    offers.push({ row, label: own, box, score, exact, weight: (score + 1e-6) * nearness(box, point) });
  }
  offers.sort((one, other) => other.weight - one.weight);
  const chosen = [];
  for (const offer of offers) {
    const known = chosen.some((one) => one.label === offer.label);
    const counts = !chosen.length || offer.score >= trace.lowest;
    if (!known && counts) chosen.push({ look: number, stage: look.stages.length - 1, ...offer });
    if (chosen.length === MOST_ANSWERS) break;
  }
  return chosen;
}

/** The box at a point that the first step holds most likely to be an object: where nothing was proposed. */
export function likeliest(trace, number, point) {
  const look = trace.passes[number];
  const [stage] = look.stages;
  let best = { box: null, weight: 0 };
  for (let row = 0; row < stage.rows; row++) {
    const box = cut(movedBox(look, stage, row), trace.picture);
    const weight = contains(box, point) ? stage.objectness[row] * nearness(box, point) : 0;
    if (weight > best.weight) best = { box, weight };
  }
  return best.box;
}

/** 1 at the centre of a box, falling off to its sides. */
function nearness([x1, y1, x2, y2], [x, y]) {
  const across = (2 * x - x1 - x2) / (x2 - x1 || 1);
  const down = (2 * y - y1 - y2) / (y2 - y1 || 1);
  return Math.exp(-(across * across + down * down) / (2 * NARROW * NARROW));
}

/** The class that scores best on the rows whose box agrees with one that was drawn; of none, of the nearest row. */
export function classIn(trace, number, box) {
  const look = trace.passes[number];
  const stage = lastStage(look);
  let best = { label: 0, score: -1 };
  let nearest = { label: 0, overlap: -1 };
  for (let row = 0; row < stage.rows; row++) {
    const label = stage.best.labels[row];
    const overlap = iou(cut(finalBox(look, stage, row, label), trace.picture), box);
    if (overlap >= SAME && stage.best.scores[row] > best.score) best = { label, score: stage.best.scores[row] };
    if (overlap > nearest.overlap) nearest = { label, overlap };
  }
  return best.score >= 0 ? best.label : nearest.label;
}
