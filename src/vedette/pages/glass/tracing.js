// The trace of a picture that was looked at in the page: what `vedette.glass.portable` tells of one in Python, made of
// what the network gave and of `still`, the trace without a picture that Python wrote.

import { everPicked } from "./everpicked.js";
import { detectionsOf, find } from "./find.js";
import { levelsOf } from "./levels.js";
import { BEYOND_COUNT, EASY, KEPT, LOST_IN, STEPS, UNDER_FLOOR } from "./reasons.js";

/**
 * given: what the graph gives for the A anchors, flat: {scores (A, C), boxes (A, 4), anchors (A, 4)} and, where there is
 * a first move, {moved (A, 4), emptiness (A)}; input: {width, height, padded: [high, wide]} of what the network saw.
 */
export function traceOf(still, picture, input, given) {
  const [pass] = still.passes;
  const scale = [picture.width / input.width, picture.height / input.height].map(Math.fround);
  const look = { ...pass, input: { ...pass.input, ...input, scale }, levels: levelsOf(pass.levels, input, given.anchors) };
  const stage = stageOf(still, picture, look, given);
  look.stages = [stage];
  look.steps = stepsOf(still, stage);
  return { ...still, picture, passes: [look] };
}

function stageOf(still, picture, look, given) {
  const [own] = look.stages;
  const classes = still.detector.classes.length;
  const rows = given.anchors.length / 4;
  const levels = { ...own.rule.pick, levels: own.rule.pick.levels && look.levels.map(countOf) };
  const stage = { ...own, rows, classes, rule: { ...own.rule, pick: levels }, references: given.anchors };
  stage.moved = given.moved ?? null;
  stage.objectness = given.emptiness ? given.emptiness.map((empty) => 1 - empty) : new Float32Array(rows).fill(1);
  stage.scores = given.scores;
  stage.candidates = candidatesOf(still.lowest, stage, given);
  const found = find(stage.candidates, stage.rule);
  detectionsOf(look, picture, stage.candidates, found); // writes who lies outside
  for (const name of ["fates", "by", "overlap", "after"]) stage.candidates[name] = found[name];
  stage.fates = fatesOf(stage, given);
  stage.best = bestOf(stage, given.boxes);
  stage.maps = mapsOf(stage, look.levels);
  stage.beyond = bitsOf(stage.fates);
  return stage;
}

function countOf({ rows, columns, per_cell: many }) {
  return rows * columns * many;
}

/** All pairs that may ever be found at the page's knobs, the best first; as columns. */
function candidatesOf(lowest, stage, { scores, boxes, emptiness }) {
  const { classes } = stage;
  const least = Math.fround(lowest);
  const pairs = [];
  scores.forEach((score, pair) => score >= least && pairs.push(pair));
  const empty = (pair) => (emptiness ? emptiness[Math.floor(pair / classes)] : 0);
  const chosen = everPicked(pairs, stage, empty).sort((one, other) => scores[other] - scores[one] || one - other);
  const rows = Int32Array.from(chosen, (pair) => Math.floor(pair / classes));
  const labels = Int32Array.from(chosen, (pair) => pair % classes);
  return {
    ...{ rows, labels, source: rows, group: labels },
    boxes: Float32Array.from({ length: 4 * rows.length }, (_, at) => boxes[4 * rows[at >> 2] + (at & 3)]),
    scores: Float32Array.from(chosen, (pair) => scores[pair]),
    objectness: Float32Array.from(rows, (row) => stage.objectness[row]),
    emptiness: Float32Array.from(rows, (row) => (emptiness ? emptiness[row] : 0)),
  };
}

/** What became of every pair of row and class. */
function fatesOf({ candidates, classes, rule, scores }, { emptiness }) {
  const [least, most] = [Math.fround(rule.floor), rule.theta === null ? Infinity : Math.fround(rule.theta)];
  const fates = Uint8Array.from(scores, (score, pair) => {
    if (emptiness && emptiness[Math.floor(pair / classes)] > most) return EASY;
    return score >= least && score > 0 ? BEYOND_COUNT : UNDER_FLOOR;
  });
  candidates.rows.forEach((row, place) => {
    fates[row * classes + candidates.labels[place]] = candidates.fates[place];
  });
  return fates;
}

/** Of each row its best class. */
function bestOf({ rows, classes, scores, fates }, boxes) {
  const labels = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    let best = 0;
    for (let label = 1; label < classes; label++) {
      if (scores[row * classes + label] > scores[row * classes + best]) best = label;
    }
    labels[row] = best;
  }
  const pairs = Array.from(labels, (label, row) => row * classes + label);
  return {
    ...{ labels, boxes },
    scores: Float32Array.from(pairs, (pair) => scores[pair]),
    fates: Uint8Array.from(pairs, (pair) => fates[pair]),
  };
}

/** (cells of all levels, C) the highest of each cell's anchors. */
function mapsOf({ classes, scores }, levels) {
  const cells = levels.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const maps = new Float32Array(cells * classes);
  let cell = 0;
  for (const { first, rows, columns, per_cell: many } of levels) {
    for (let own = 0; own < rows * columns; own++, cell++) {
      for (let pair = 0; pair < many * classes; pair++) {
        const [at, score] = [cell * classes + (pair % classes), scores[(first + own * many) * classes + pair]];
        if (score > maps[at]) maps[at] = score;
      }
    }
  }
  return maps;
}

/** Which pairs were beyond the best that are picked, a bit each; null where none was. */
function bitsOf(fates) {
  if (!fates.includes(BEYOND_COUNT)) return null;
  const bits = new Uint8Array(Math.ceil(fates.length / 8));
  fates.forEach((fate, pair) => fate === BEYOND_COUNT && (bits[pair >> 3] |= 128 >> (pair & 7)));
  return bits;
}

/** How many came into each step and went on, and why the others did not. */
function stepsOf({ reasons, passes }, { rows, enter, moved, fates, classes }) {
  const counts = new Array(reasons.length).fill(0);
  for (const fate of fates) counts[fate] += 1;
  const easy = counts[EASY] / classes;
  return passes[0].steps.map(({ name }) => {
    if (name === enter) return stepFrom(name, reasons, [[KEPT, rows]]);
    if (name === STEPS[0] && moved) return stepFrom(name, reasons, [[KEPT, rows - easy], [EASY, easy]]);
    const step = STEPS.indexOf(name);
    const at = (fate) => LOST_IN[fate] - step;
    const on = counts.reduce((sum, count, fate) => sum + (at(fate) > 0 ? count : 0), 0);
    const lost = [...counts.entries()].filter(([fate]) => at(fate) === 0);
    return stepFrom(name, reasons, [[KEPT, on], ...lost]);
  });
}

function stepFrom(name, reasons, counts) {
  const there = counts.filter(([, count]) => count);
  return {
    name,
    in: there.reduce((sum, [, count]) => sum + count, 0),
    on: counts[0][1],
    reasons: Object.fromEntries(there.map(([fate, count]) => [reasons[fate], count])),
  };
}
