// What the page knows of every row (anchor or region) of a stage, whether or not it is among the candidates.

import { boxAt, toPicture } from "./boxes.js";
import { cellsBefore, cellOf } from "./anchors.js";
import { BEYOND_COUNT, EASY, SMALL, UNDER_FLOOR } from "./reasons.js";

/** Adds to each stage how its candidates are found: by row and class, and all of a row. */
export function withIndex(trace) {
  for (const look of trace.passes) {
    for (const stage of look.stages) {
      stage.classes = stage.last ? trace.detector.classes.length : 1;
      stage.placeOf = new Map();
      stage.placesOf = new Map();
      stage.candidates.rows.forEach((row, place) => {
        stage.placeOf.set(row * stage.classes + Math.max(0, stage.candidates.labels[place]), place);
        stage.placesOf.set(row, [...(stage.placesOf.get(row) ?? []), place]);
      });
    }
  }
  return trace;
}

/** The candidate that is the pair of a row and a class; -1 where that was never one. */
export function placeAt(stage, row, label) {
  return stage.placeOf.get(row * stage.classes + label) ?? -1;
}

/** Whether the first step asks each row if there is an object at all. */
export function asksForObjects(stage) {
  return stage.moved !== null;
}

export function firstBox(look, stage, row) {
  return toPicture(look.input, boxAt(stage.references, row));
}

export function movedBox(look, stage, row) {
  return asksForObjects(stage) ? toPicture(look.input, boxAt(stage.moved, row)) : firstBox(look, stage, row);
}

/** The final box of a row for a class: a candidate's own; of others that of the row's best class. */
export function finalBox(look, stage, row, label) {
  const place = placeAt(stage, row, label);
  const column = place >= 0 ? stage.candidates.boxes : stage.best.boxes;
  return toPicture(look.input, boxAt(column, place >= 0 ? place : row));
}

/** {score, exact}: of a class on a row; where it is no candidate, what the maps tell in eight bits, else 0. */
export function scoreAt(look, stage, row, label) {
  const place = placeAt(stage, row, label);
  if (place >= 0) return { score: stage.candidates.scores[place], exact: true };
  if (stage.best.labels[row] === label) return { score: stage.best.scores[row], exact: false };
  return { score: stage.maps ? scoreInCell(look, stage, row, label) : 0, exact: false };
}

const EIGHT_BITS = 1 / 255;

/** The highest score of the row's cell for a class, unless it is another anchor's of that cell. */
function scoreInCell(look, stage, row, label) {
  const { level, row: down, column, shape } = cellOf(look.levels, row);
  const { columns, per_cell: many } = look.levels[level];
  const highest = stage.maps[(cellsBefore(look.levels, level) + down * columns + column) * stage.classes + label];
  const others = Array.from({ length: many }, (_, other) => placeAt(stage, row - shape + other, label));
  const isTheirs = others.some((place) => stage.candidates.scores[place] >= highest - EIGHT_BITS);
  return isTheirs ? 0 : Math.min(highest, stage.best.scores[row]);
}

/** Whether a row is left out before the scores count, at this θ. */
export function isBarred(stage, row, theta) {
  if (!stage.last) return stage.best.fates[row] === SMALL && placeAt(stage, row, 0) < 0;
  if (theta === null) return false;
  if (theta === stage.rule.theta) return stage.best.fates[row] === EASY;
  return 1 - stage.objectness[row] > theta;
}

/** What became of a row and class; found: what `find` made of the candidates, null for the trace's own settings. */
export function fateAt(look, stage, row, label, found, knobs) {
  const place = placeAt(stage, row, label);
  if (place >= 0) return (found ?? stage.candidates).fates[place];
  if (!stage.last) return stage.best.fates[row];
  if (isBarred(stage, row, knobs.theta)) return EASY;
  if (knobs.floor === stage.rule.floor) return isBeyond(stage, row, label) ? BEYOND_COUNT : UNDER_FLOOR;
  return scoreAt(look, stage, row, label).score >= knobs.floor ? BEYOND_COUNT : UNDER_FLOOR;
}

/** Whether a pair was beyond the best that are picked, at the trace's own knobs. */
function isBeyond({ beyond, classes }, row, label) {
  const bit = row * classes + label;
  return beyond !== null && (beyond[bit >> 3] & (128 >> (bit & 7))) !== 0;
}
