// The guided tour of a picture that was looked at in the page: the stops of `vedette.glass.tour`, in its sentences, with
// this picture's numbers. For detectors of one stage that looked once.

import { boxAt, centerOf, cut, iou, toPicture } from "./boxes.js";
import { cellOf } from "./anchors.js";
import { knobsOf, outcomeOf } from "./outcome.js";
import { EASY, KEPT, LOST_IN, STEPS, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";
import { listed, say } from "./say.js";

const MOST_NAMED = 5; // detections in one sentence
const SAME_OBJECT = 0.5; // IoU
const [, , , DECODE] = STEPS.keys();

/** told: {stops: {kind: [title, text]}, move, no_move}; trace: of `traceOf`. → [{title, text, step, selection}] */
export function tourOf(told, trace) {
  const guide = guideOf(told, trace);
  return STOPS.map((tell) => tell(guide))
    .filter(Boolean)
    .map(({ kind, values, step, shown }) => {
      const [title, text] = told.stops[kind];
      return { title, text: say(text, values), step, selection: shown ? selectionOf(guide, shown) : null };
    });
}

/** Who is followed, and what the steps left of the others. */
function guideOf(told, trace) {
  const [look] = trace.passes;
  const stage = look.stages.at(-1);
  const { detections: found } = outcomeOf(trace, knobsOf(trace));
  const best = found.length ? pairOf(stage, found[0].place) : strongest(stage.scores, () => true);
  const guide = { told, trace, look, stage, found, floor: stage.rule.floor };
  guide.hero = lifeOf(guide, best);
  const picked = [...stage.candidates.rows.keys()].filter((place) => LOST_IN[stage.candidates.fates[place]] >= DECODE);
  const gone = picked.filter((place) => stage.candidates.fates[place] !== KEPT);
  const { scores } = stage.candidates;
  const second = gone.reduce((high, place) => (high < 0 || scores[place] > scores[high] ? place : high), -1);
  guide.runnerUp = second < 0 ? null : lifeOf(guide, pairOf(stage, second));
  const under = strongest(stage.scores, (pair) => stage.fates[pair] === UNDER_FLOOR);
  guide.nearMiss = under < 0 ? null : lifeOf(guide, under);
  return guide;
}

function pairOf({ candidates, classes }, place) {
  return candidates.rows[place] * classes + candidates.labels[place];
}

/** The pair of highest score among those that count, -1 for none. */
function strongest(scores, counts) {
  let best = -1;
  scores.forEach((score, pair) => {
    if ((best < 0 || score > scores[best]) && counts(pair)) best = pair;
  });
  return best;
}

/** One pair of anchor and class: its boxes on the picture, its numbers, what became of it. */
function lifeOf({ trace, look, stage }, pair) {
  const { classes, moved, best } = stage;
  const [row, label] = [Math.floor(pair / classes), pair % classes];
  const box = (column) => toPicture(look.input, boxAt(column, row));
  const [start, last] = [box(stage.references), box(best.boxes)];
  return {
    ...{ row, label, start, last, end: cut(last, trace.picture), name: trace.detector.classes[label] },
    first: moved ? box(moved) : null,
    score: stage.scores[pair],
    fate: stage.fates[pair],
    place: stage.candidates.rows.findIndex((one, at) => one === row && stage.candidates.labels[at] === label),
  };
}

/** What a candidate is on the page: a detection, or an object that one asks for. */
function selectionOf({ hero, found }, life) {
  if (life === hero && found.length) return { detection: 0 };
  const box = life.end.map((side) => Math.round(side * 10) / 10);
  return { box, label: life.label, look: 0, row: life.row };
}

function opening({ trace, look, found, hero, floor }) {
  const step = look.steps.at(-1).name;
  const values = { floor, name: hero.name, score: hero.score, count: found.length };
  if (!found.length) return { kind: "found nothing", values, step, shown: hero };
  const named = found.slice(0, MOST_NAMED).map(({ label, score }) => {
    return say("{name:a} ({score:share})", { name: trace.detector.classes[label], score });
  });
  const more = found.length > MOST_NAMED ? [say("{more:words} more", { more: found.length - MOST_NAMED })] : [];
  return { kind: "found", values: { ...values, named: listed([...named, ...more]) }, step, shown: hero };
}

function beginning({ look, stage }) {
  const grids = listed(look.levels.map(({ rows, columns }) => `${rows} × ${columns}`));
  return { kind: "anchors", values: { count: stage.rows, levels: look.levels.length, grids }, step: stage.enter };
}

function firstBox({ look, stage, hero }) {
  const { level, row, column } = cellOf(look.levels, hero.row);
  const { rows, columns, stride } = look.levels[level];
  const [x1, y1, x2, y2] = hero.start;
  const cell = { row: row + 1, rows, column: column + 1, columns, stride: stride[0] };
  const size = { wide: Math.fround(x2 - x1), high: Math.fround(y2 - y1) };
  const values = { ...cell, ...size, name: hero.name, anchor: hero.row, overlap: iou(hero.start, hero.end) };
  return { kind: "one anchor", values, step: stage.enter, shown: hero };
}

function objectness({ stage, hero }) {
  if (!hero.first) return null;
  const own = stage.objectness[hero.row];
  const better = stage.objectness.reduce((sum, value) => sum + (value > own), 0);
  return { kind: "objectness", values: { who: "ARM", score: own, better }, step: STEPS[0], shown: hero };
}

function easy({ trace, look, stage }) {
  if (stage.rule.theta === null) return null;
  const step = look.steps.find(({ name }) => name === STEPS[0]);
  const count = step.reasons[trace.reasons[EASY]] ?? 0;
  return { kind: "easy", values: { easy: count, count: step.in, theta: stage.rule.theta }, step: step.name };
}

/** Whether the first step moves the anchor. */
function hasMoved({ start, first }) {
  return first !== null && iou(start, first) <= 1 - 1e-6;
}

function firstMove({ told, hero }) {
  if (!hasMoved(hero)) return null;
  const near = { before: iou(hero.start, hero.end), after: iou(hero.first, hero.end) };
  return { kind: "first move", values: { ...near, move: moved(told, hero.start, hero.first) }, step: STEPS[0], shown: hero };
}

function scores({ trace, look, stage, hero, floor }) {
  const { in: came, on } = look.steps.find(({ name }) => name === "floor");
  const { classes } = stage;
  const own = stage.scores.subarray(hero.row * classes, (hero.row + 1) * classes);
  const next = strongest(own, (label) => label !== hero.label);
  const second = next < 0 ? {} : { next: trace.detector.classes[next], next_score: own[next] };
  const values = { name: hero.name, score: hero.score, thing: "anchor", floor, came, on, others: Number(next >= 0) };
  return { kind: "scores", values: { ...values, ...second }, step: "floor", shown: hero };
}

function lastMove({ told, hero }) {
  const move = moved(told, hero.first ?? hero.start, hero.last);
  return { kind: hasMoved(hero) ? "last move" : "only move", values: { move }, step: "decode", shown: hero };
}

function crowd({ stage, hero }) {
  const { rule, candidates } = stage;
  if (hero.place < 0 || LOST_IN[candidates.fates[hero.place]] < DECODE) return null;
  const victims = [...candidates.by.keys()].filter((place) => candidates.by[place] === hero.place);
  const values = { name: hero.name, soft: Number(rule.method !== "hard"), count: victims.length, iou: rule.iou };
  if (!victims.length) return { kind: "no crowd", values, step: "suppress", shown: hero };
  const [best] = victims; // candidates stand by their scores
  const most = { score: candidates.scores[best], overlap: candidates.overlap[best] };
  return { kind: "crowd", values: { ...values, ...most }, step: "suppress", shown: hero };
}

function runnerUp({ trace, stage, hero, runnerUp: life }) {
  if (!life) return null;
  const { by, overlap, after, scores: before } = stage.candidates;
  const whom = by[life.place];
  const kinds = { [SUPPRESSED]: whom === hero.place ? "suppressed by ours" : "suppressed by another" };
  const kind = { ...kinds, [WEAKENED]: "weakened" }[life.fate] ?? "gone";
  const known = { overlap: overlap[life.place], after: after[life.place], better: before[whom] };
  const values = { name: life.name, score: life.score, fate: trace.reasons[life.fate], ...known };
  return { kind, values, step: stepOf(life), shown: life };
}

function lost({ trace, found, hero }) {
  if (found.length || hero.fate === KEPT) return null;
  const values = { name: hero.name, score: hero.score, fate: trace.reasons[hero.fate] };
  return { kind: "lost", values, step: stepOf(hero), shown: hero };
}

function nearMiss({ trace, found, hero, nearMiss: life, floor }) {
  if (!life || (!found.length && life.row === hero.row)) return null;
  const reached = found.find(({ box }) => iou(life.end, box) >= SAME_OBJECT);
  const other = reached ? trace.detector.classes[reached.label] : "";
  const values = { score: life.score, name: life.name, floor, reached: Number(Boolean(reached)), other };
  return { kind: "near miss", values, step: "floor", shown: life };
}

function end({ look, found }) {
  const counts = [...look.steps.map((step) => step.in), found.length];
  const way = counts.filter((count, place) => !place || count !== counts[place - 1]);
  const said = way.map((count) => say("{count}", { count })).join(" → ");
  return { kind: "end", values: { way: said, thing: "anchor" }, step: look.steps.at(-1).name };
}

const STOPS = [
  ...[opening, beginning, firstBox, objectness, easy, firstMove, scores, lastMove],
  ...[crowd, runnerUp, lost, nearMiss, end],
];

/** The step that loses a candidate; where none does, that of the floor. */
function stepOf({ fate }) {
  return fate === KEPT ? STEPS[1] : STEPS[LOST_IN[fate]];
}

/** How a box was moved to become another, in the pixels of the picture. */
function moved({ move, no_move: still }, before, after) {
  const [from, to] = [centerOf(before), centerOf(after)];
  const [right, down] = [to[0] - from[0], to[1] - from[1]];
  const side = ([x1, y1, x2, y2]) => [x2 - x1, y2 - y1];
  const [wide, high] = side(after).map((length, axis) => length / Math.max(side(before)[axis], 1e-6));
  const isStill = Math.max(Math.abs(right), Math.abs(down)) < 0.5;
  if (isStill && Math.max(Math.abs(wide - 1), Math.abs(high - 1)) < 0.005) return still;
  const way = { right: Number(right >= 0), low: Number(down >= 0), across: Math.abs(right), along: Math.abs(down) };
  return say(move, { ...way, wide, high });
}
