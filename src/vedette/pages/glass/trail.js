// The life line of one box: moment by moment from the anchor, or region, to the end or to the step that lost it.

import { cellOf } from "./anchors.js";
import { boxAt, cut, iou, toPicture } from "./boxes.js";
import { lastStage } from "./outcome.js";
import { many, move, nearly, number, pixels, score } from "./phrases.js";
import { BEYOND_COUNT, BEYOND_KEEP, EASY, KEPT, LOST_IN, SMALL, STEPS, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";
import { asksForObjects, fateAt, finalBox, firstBox, isBarred, movedBox, placeAt, scoreAt } from "./rows.js";

const [REFINE, FLOOR, PICK, DECODE, SUPPRESS, KEEP, FRAME] = STEPS.keys();

/**
 * subject: {look, stage: number among the look's, row, label}.
 * → [{step, box in the picture's pixels, text, facts: [[name, value]], fate: KEPT or what it was lost by, by: box}]
 */
export function trailOf(trace, outcome, knobs, { look: number, stage: at, row, label }) {
  const look = trace.passes[number];
  const stage = look.stages[at];
  const found = stage.last ? outcome.looks[number] : null;
  const own = { trace, look, stage, row, label, knobs, found, rule: { ...stage.rule, ...(stage.last ? knobs : {}) } };
  own.place = placeAt(stage, row, label);
  own.fate = fateAt(look, stage, row, label, found, knobs);
  own.depth = isBarred(stage, row, own.rule.theta) ? REFINE : LOST_IN[own.fate];
  return [...before(own), ...momentsOf(own)];
}

/** What the RPN made of the anchor, where the stage's rows are its proposals. */
function before(own) {
  const { trace, look, stage, row } = own;
  const proposing = look.stages[look.stages.indexOf(stage) - 1];
  if (!proposing) return [];
  const anchor = sourceOf(own, proposing);
  if (anchor < 0) return [];
  const first = { ...own, stage: proposing, row: anchor, label: 0, found: null, rule: proposing.rule, depth: STEPS.length };
  first.place = placeAt(proposing, anchor, 0);
  first.fate = KEPT;
  const box = firstBox(look, stage, row);
  const drops = victims(proposing.candidates, first.place);
  const kept = `It is proposal ${number(row + 1)} of ${number(stage.rows)}: the network looks at it once more.`;
  const among = drops ? ` ${many(drops, "other anchor")} of its level on the same place gave way to it.` : "";
  return [entering(first), refining(first), moment(first, "suppress", box, `${kept}${among}`, [])].map((one) => ({
    ...one,
    step: stepName(trace, one.step),
  }));
}

/** The anchor that a proposal came from: a candidate says it, of others that whose box it is. */
function sourceOf({ stage, row, look }, proposing) {
  const [place] = stage.placesOf.get(row) ?? [];
  if (place !== undefined) return stage.candidates.source[place];
  const box = firstBox(look, stage, row);
  const { boxes, rows, fates } = proposing.candidates;
  const same = [...rows.keys()].find(
    (other) => fates[other] === KEPT && iou(toPicture(look.input, boxAt(boxes, other)), box) > 0.99,
  );
  return same === undefined ? -1 : rows[same];
}

function momentsOf(own) {
  const { stage, depth } = own;
  const tell = [refining, scoring, picking, decoding, suppressing, keeping, framing];
  const steps = asksForObjects(stage) ? [...STEPS.keys()] : [...STEPS.keys()].slice(1);
  const last = stage.last ? STEPS.length : FRAME;
  const past = steps.filter((step) => step <= depth && step < last && (stage.last || step !== FLOOR));
  return [entering(own), ...past.map((step) => tell[step](own))].map((one) => ({
    ...one,
    step: stepName(own.trace, one.step),
  }));
}

/** A step that the trace leaves out, the floor of an RPN, is told as the one before. */
function stepName(trace, name) {
  return trace.passes[0].steps.some((step) => step.name === name) ? name : trace.passes[0].steps[0].name;
}

function moment(own, step, box, text, facts, more = {}) {
  const lost = own.depth === STEPS.indexOf(step);
  return { step: own.stage.name + step, box, text, facts, fate: lost ? own.fate : KEPT, by: null, ...more };
}

function entering(own) {
  const { look, stage, row, label } = own;
  const box = firstBox(look, stage, row);
  const moment = { step: stage.enter, box, fate: KEPT, by: null };
  if (stage.enter === "regions") return { ...moment, ...ofRegion(own, box) };
  const { level, row: down, column, shape } = cellOf(look.levels, row);
  const { rows, columns, per_cell: many, stride, shapes } = look.levels[level];
  const [wide, high] = shapes[shape].map(Math.round);
  const agreement = iou(box, finalBox(look, stage, row, label));
  return {
    ...moment,
    text:
      `It begins as an anchor: a box of ${wide} × ${high} pixels of the network's input, one of ${many} shapes ` +
      `around one cell of a grid. It lies there before anybody has looked at the picture.`,
    facts: [
      ["anchor", number(row)],
      ["grid", `${rows} × ${columns}, a cell every ${Math.round(stride[0])} px of the input`],
      ["cell", `row ${down + 1}, column ${column + 1}`],
      ["IoU with its end", agreement.toFixed(2)],
    ],
  };
}

function ofRegion({ look, stage, row }, box) {
  const facts = [["region", `${number(row + 1)} of ${number(stage.rows)}`], ["size", `${pixels(box)} px`]];
  const pooled = pooledFrom(look, stage, row);
  if (pooled) facts.push(["pooled", `${pooled.bins} × ${pooled.bins} bins of the map with stride ${pooled.stride}`]);
  const proposed = look.stages.length > 1;
  const text = proposed
    ? "As a proposal it is cut out of the network's maps, brought to one size, and looked at by itself."
    : "It begins as a region that selective search marked: alike in colour and texture, before any network looked.";
  return { text, facts, pooled };
}

/** Where a region is pooled: {window: in the picture, bins: a side, stride: of the map}; null where it is not. */
function pooledFrom(look, { regions }, row) {
  if (!regions) return null;
  const { levels, windows, bins, strides } = regions;
  const stride = strides[levels[row]];
  return { window: toPicture(look.input, boxAt(windows, row).map((cells) => cells * stride)), bins, stride };
}

function refining(own) {
  const { look, stage, row, rule } = own;
  const [from, to] = [firstBox(look, stage, row), movedBox(look, stage, row)];
  const object = stage.objectness[own.row];
  const moved = `It ${move(from, to)}.`;
  if (own.depth === REFINE && own.fate === EASY) {
    const sure = own.place >= 0 ? own.stage.candidates.emptiness[own.place] : 1 - object;
    const text = `The network is ${sure.toFixed(3)} sure that nothing is here, more than θ = ${rule.theta}: left out as easy.`;
    return moment(own, "refine", to, text, [["nothing here", sure.toFixed(3)], ["θ", String(rule.theta)]]);
  }
  if (own.depth === REFINE && own.fate === SMALL) {
    const text = `${moved} A side is now below ${rule.least_side} px of the input, too small to be proposed.`;
    return moment(own, "refine", to, text, [["size", `${pixels(to)} px`]]);
  }
  const text = `Is there any object? The network says ${object.toFixed(3)}. ${moved}`;
  return moment(own, "refine", to, text, [["an object", object.toFixed(3)], ["size", `${pixels(to)} px`]]);
}

function scoring(own) {
  const { trace, look, stage, row, label, rule } = own;
  const box = movedBox(look, stage, row);
  const { score: value, exact } = scoreAt(look, stage, row, label);
  const name = trace.detector.classes[label];
  const told = nearly(value, exact, trace.lowest);
  const passes = own.depth > FLOOR;
  const text = passes
    ? `What is it? ${name} has ${told}, at least the ${rule.floor} that are asked for: it goes on.`
    : `What is it? ${name} has ${told}, less than the ${rule.floor} that are asked for: it ends here.`;
  return moment(own, "floor", box, text, classesOf(own, told));
}

/** The row's classes by score, those that are in the page, its own among them. */
function classesOf({ trace, stage, row, label }, told) {
  const { scores, labels } = stage.candidates;
  const others = (stage.placesOf.get(row) ?? []).filter((place) => labels[place] !== label).slice(0, 3);
  const rest = others.map((place) => [trace.detector.classes[labels[place]], score(scores[place])]);
  if (!others.length && stage.best.labels[row] !== label) {
    rest.push([trace.detector.classes[stage.best.labels[row]], `about ${stage.best.scores[row].toFixed(2)}`]);
  }
  return [[trace.detector.classes[label], told], ...rest];
}

const WHOSE = { image: "the picture", class: "each class", level: "each level" };

function picking(own) {
  const { look, stage, row, label, rule, place, found } = own;
  const box = asksForObjects(stage) ? movedBox(look, stage, row) : finalBox(look, stage, row, label);
  const { of, count } = rule.pick;
  const best = count === null ? "All" : `The best ${number(count)} of ${WHOSE[of] ?? "the picture"}`;
  if (own.fate === BEYOND_COUNT) {
    return moment(own, "pick", box, `${best} go on, and it is not among them.`, []);
  }
  const fates = (found ?? stage.candidates).fates;
  const gone = [EASY, UNDER_FLOOR];
  const rank = fates.subarray(0, place).reduce((sum, fate) => sum + !gone.includes(fate), 1);
  const all = fates.reduce((sum, fate) => sum + !gone.includes(fate), 0);
  return moment(own, "pick", box, `${best} go on. By its score it is number ${number(rank)} of ${number(all)}.`, [
    ["rank", `${number(rank)} of ${number(all)}`],
  ]);
}

function decoding(own) {
  const { look, stage, row, label } = own;
  const [from, to] = [movedBox(look, stage, row), finalBox(look, stage, row, label)];
  if (!stage.last) return moment(own, "decode", to, "It is large enough to be proposed.", [["size", `${pixels(to)} px`]]);
  const facts = [["size", `${pixels(to)} px`], ["IoU with before", iou(from, to).toFixed(2)]];
  if (own.fate === SMALL) return moment(own, "decode", to, "No area is left of it.", facts);
  const again = asksForObjects(stage) ? "Once more it" : "It";
  return moment(own, "decode", to, `${again} ${move(from, to)}.`, facts);
}

function suppressing(own) {
  const { trace, look, stage, row, label, rule, place } = own;
  const box = finalBox(look, stage, row, label);
  const outcome = own.found ?? stage.candidates;
  const name = stage.last ? trace.detector.classes[label] : "anchor";
  const by = outcome.by[place];
  const other = by >= 0 ? toPicture(look.input, boxAt(stage.candidates.boxes, by)) : null;
  const overlap = outcome.overlap[place];
  if (own.fate === SUPPRESSED) {
    const text =
      `A better ${name}, with ${score(stage.candidates.scores[by])}, lies on it with an IoU of ${overlap.toFixed(2)}, ` +
      `more than ${rule.iou}: only the better one stays.`;
    return moment(own, "suppress", box, text, [["IoU", overlap.toFixed(2)]], { by: other });
  }
  const after = outcome.after[place];
  const facts = [["score", score(after)]];
  if (by >= 0) facts.push(["most IoU with a better one", overlap.toFixed(2)]);
  if (own.fate === WEAKENED || (rule.method !== "hard" && by >= 0)) {
    const text =
      `Better boxes of its class lie on it, one with an IoU of ${overlap.toFixed(2)}: its score was weakened from ` +
      `${score(stage.candidates.scores[place])} to ${score(after)}${own.fate === WEAKENED ? `, below ${rule.floor}` : ""}.`;
    return moment(own, "suppress", box, text, facts, { by: other });
  }
  const drops = victims({ ...stage.candidates, ...outcome }, place);
  const dropped = drops ? ` It drops ${many(drops, "worse one")} that did.` : "";
  const text = `No better ${name} overlaps it by more than ${rule.iou}: it stays.${dropped}`;
  return moment(own, "suppress", box, text, [["drops", number(drops)]]);
}

/** How many a candidate suppressed. */
function victims({ by, fates }, place) {
  return by.reduce((sum, other, at) => sum + (other === place && fates[at] === SUPPRESSED), 0);
}

function keeping(own) {
  const { look, stage, row, label, rule, place, found } = own;
  const box = finalBox(look, stage, row, label);
  const best = `The best ${number(rule.keep)} of the picture are kept`;
  if (own.fate === BEYOND_KEEP) return moment(own, "keep", box, `${best}, and it is not among them.`, []);
  const rank = found ? found.kept.indexOf(place) + 1 : 0;
  const text = rank ? `${best}. It is number ${number(rank)}.` : `${best}. It is among them.`;
  return moment(own, "keep", box, text, []);
}

function framing(own) {
  const { trace, look, stage, row, label } = own;
  const whole = finalBox(look, stage, row, label);
  const box = cut(whole, trace.picture);
  if (own.fate !== KEPT) return moment(own, "frame", whole, "It lies outside of the picture.", []);
  const was = iou(whole, box) < 0.9999 ? " and cut at its border" : "";
  return moment(own, "frame", box, `It is brought into the picture's pixels${was}: this is the box that was found.`, [
    ["box", box.map(Math.round).join(", ")],
  ]);
}
