// From the candidates of a stage to what is kept of them: drop, pick, suppress, keep. The page's own copy of the one
// `find` in Python, which a test holds to the same boxes.

import { boxAt, cut, iou, isVisible, toPicture } from "./boxes.js";
import { BEYOND_COUNT, BEYOND_KEEP, EASY, KEPT, OUTSIDE, SMALL, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";

/**
 * What becomes of each of the K candidates, which are ordered by score, under a rule (see `rule` in the trace).
 * → {fates, by, overlap, after}: who suppressed or weakened each (its place, -1 nobody), with which IoU, and the score
 * that is left; kept: the places that stay, the best first; picked: how many went into the suppression.
 */
export function find(candidates, rule) {
  const { scores } = candidates;
  const found = {
    fates: new Uint8Array(scores.length),
    by: new Int32Array(scores.length).fill(-1),
    overlap: new Float64Array(scores.length),
    after: Float32Array.from(scores),
  };
  const rivals = picked(candidates, rule, found.fates).filter((place) => isLarge(candidates, place, rule, found.fates));
  for (const group of groupsOf(candidates, rivals)) {
    if (rule.method === "hard") suppressHard(candidates, group, rule, found);
    else suppressSoft(candidates, group, rule, found);
  }
  const stay = rivals.filter((place) => found.fates[place] === KEPT);
  stay.sort((one, other) => found.after[other] - found.after[one] || one - other);
  for (const place of stay.slice(rule.keep)) found.fates[place] = BEYOND_KEEP;
  return { ...found, kept: stay.slice(0, rule.keep), picked: rivals.length };
}

/** The detections of one look, as `detect` gives them: in the picture, cut at its border, none without area. */
export function detectionsOf(look, picture, candidates, found) {
  const detections = [];
  for (const place of found.kept) {
    const box = cut(toPicture(look.input, boxAt(candidates.boxes, place)), picture);
    if (!isVisible(box)) found.fates[place] = OUTSIDE;
    else detections.push({ box, score: found.after[place], label: candidates.labels[place], place });
  }
  return detections;
}

/** Places of the candidates that are picked, the best first; the others' fates are written. */
function picked({ rows, labels, scores, emptiness }, { floor, theta, pick }, fates) {
  const least = Math.fround(floor);
  const most = theta === null ? Infinity : Math.fround(theta);
  const counts = new Map();
  const places = [];
  for (let place = 0; place < scores.length; place++) {
    if (emptiness[place] > most) fates[place] = EASY;
    else if (!(scores[place] >= least && scores[place] > 0)) fates[place] = UNDER_FLOOR;
    else {
      const part = { class: labels[place], level: levelAt(pick.levels, rows[place]) }[pick.of] ?? 0;
      const count = counts.get(part) ?? 0;
      counts.set(part, count + 1);
      if (count < (pick.count ?? Infinity)) places.push(place);
      else fates[place] = BEYOND_COUNT;
    }
  }
  return places;
}

/** Which level a row is of; levels: how many rows each has. */
function levelAt(levels, row) {
  let last = 0;
  return (levels ?? []).findIndex((count) => row < (last += count));
}

function isLarge({ boxes }, place, { least_side }, fates) {
  const [x1, y1, x2, y2] = boxAt(boxes, place);
  const side = Math.min(Math.fround(x2 - x1), Math.fround(y2 - y1));
  const large = least_side > 0 ? side >= least_side : side > 0;
  if (!large) fates[place] = SMALL;
  return large;
}

/** Places of each group that NMS keeps apart, the best first. */
function groupsOf({ group }, places) {
  const groups = new Map();
  for (const place of places) {
    if (!groups.has(group[place])) groups.set(group[place], []);
    groups.get(group[place]).push(place);
  }
  return groups.values();
}

/** Each is dropped by the best that stays and overlaps it with more than the rule's IoU. */
function suppressHard({ boxes }, places, rule, found) {
  const stay = [];
  for (const place of places) {
    const box = boxAt(boxes, place);
    const better = stay.find((other) => iou(other.box, box) > rule.iou);
    if (!better) stay.push({ place, box });
    else {
      found.fates[place] = SUPPRESSED;
      found.by[place] = better.place;
      found.overlap[place] = iou(better.box, box);
    }
  }
}

/** Soft-NMS: in the order of their current scores, each weakens those after it; who overlaps one most is told. */
function suppressSoft({ boxes, scores }, places, rule, found) {
  const waiting = places.map((place) => ({ place, box: boxAt(boxes, place), score: scores[place], most: 0, by: -1 }));
  while (waiting.length) {
    const best = waiting.reduce((high, one, place) => (one.score > waiting[high].score ? place : high), 0);
    const [turn] = waiting.splice(best, 1);
    settle(turn, scores[turn.place], rule, found);
    for (const other of waiting) {
      const overlap = iou(turn.box, other.box);
      other.score *= weightOf(overlap, rule);
      if (overlap > other.most && (rule.method !== "linear" || overlap >= rule.iou)) {
        Object.assign(other, { most: overlap, by: turn.place });
      }
    }
  }
}

function weightOf(overlap, { method, iou: rise, sigma }) {
  if (method === "linear") return overlap >= rise ? 1 - overlap : 1;
  return Math.exp((overlap * overlap) / -sigma);
}

/** Writes what Soft-NMS left of one. */
function settle({ place, score, most, by }, before, { floor }, found) {
  const after = Math.fround(score);
  found.after[place] = after;
  if (!(after >= Math.fround(floor) && after > 0)) found.fates[place] = WEAKENED;
  if (by < 0 || !(after < before)) return;
  found.by[place] = by;
  found.overlap[place] = most;
}
