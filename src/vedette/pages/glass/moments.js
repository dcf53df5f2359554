// What there is to say of a box in each step of its way.
//
// own: {trace, look, stage, row, label, place among the candidates or -1, fate, depth: the step that loses it, rule and
// knobs, found: what `find` made of the candidates, end: the box that its way ends as}. A moment is {step, box in the picture's pixels, text,
// facts: [[name, value]], fate: KEPT or what it was lost by here, by: the box that did it, pooled}.

import { cellOf } from "./anchors.js";
import { boxAt, cut, iou, toPicture } from "./boxes.js";
import { apart, many, move, nearly, number, pixels, plain, plainly, score } from "./phrases.js";
import { BEYOND_COUNT, BEYOND_KEEP, EASY, KEPT, SMALL, STEPS, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";
import { asksForObjects, finalBox, firstBox, movedBox, scoreAt } from "./rows.js";

const [REFINE, FLOOR] = STEPS.keys();

export function moment(own, step, box, text, facts, more = {}) {
  const lost = own.depth === STEPS.indexOf(step);
  return { step: own.stage.name + step, box, text, facts, fate: lost ? own.fate : KEPT, by: null, ...more };
}

export function entering(own) {
  const { trace, look, stage, row, end } = own;
  const box = firstBox(look, stage, row);
  const moment = { step: stage.enter, box, fate: KEPT, by: null };
  if (stage.enter === "regions") return { ...moment, ...ofRegion(own, box) };
  const { level, row: down, column, shape } = cellOf(look.levels, row);
  const { rows, columns, per_cell: many, stride, shapes } = look.levels[level];
  const [wide, high] = shapes[shape].map(Math.round);
  const agreement = iou(box, cut(end, trace.picture)); // as the tour tells it
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
  const facts = [
    ["region", `${number(row + 1)} of ${number(stage.rows)}`],
    ["size", `${pixels(box)} px`],
  ];
  const pooled = pooledFrom(look, stage, row);
  if (pooled) facts.push(pooled.told);
  const proposed = look.stages.length > 1;
  const text = proposed
    ? "As a proposal it is cut out of the network's maps, brought to one size, and looked at by itself."
    : "It begins as a region that selective search marked: alike in colour and texture, before any network looked.";
  return { text, facts, pooled };
}

/** Where a region is read: {window: in the picture, bins: a side, 1 where none are pooled, told}; null of anchors. */
function pooledFrom(look, { regions }, row) {
  if (!regions) return null;
  const { levels, windows, bins, strides, warped } = regions;
  const stride = strides[levels[row]];
  const cells = boxAt(windows, row);
  const window = toPicture(
    look.input,
    cells.map((place) => place * stride),
  );
  if (warped) return { window, bins: 1, told: ["warped", `to ${bins} × ${bins} px, with what lies around it`] };
  return { window, bins, told: ["pooled", `${bins} × ${bins} bins of the map with stride ${plainly(stride, 1)}`] };
}

export function refining(own) {
  const { look, stage, row, rule } = own;
  const [from, to] = [firstBox(look, stage, row), movedBox(look, stage, row)];
  const object = stage.objectness[own.row];
  const moved = `It ${move(from, to)}.`;
  if (own.depth === REFINE && own.fate === EASY) {
    const sure = own.place >= 0 ? own.stage.candidates.emptiness[own.place] : 1 - object;
    const theta = plain(rule.theta);
    const told = apart(sure, rule.theta, sure.toFixed(3));
    const text = `It is ${told} sure that nothing is here, more than θ = ${theta}: left out as easy.`;
    return moment(own, "refine", to, text, [
      ["nothing here", told],
      ["θ", theta],
    ]);
  }
  if (own.depth === REFINE && own.fate === SMALL) {
    const text = `${moved} A side is now below ${rule.least_side} px of the input, too small to be proposed.`;
    return moment(own, "refine", to, text, [["size", `${pixels(to)} px`]]);
  }
  const text = `Is there any object? The network says ${object.toFixed(3)}. ${moved}`;
  return moment(own, "refine", to, text, [
    ["an object", object.toFixed(3)],
    ["size", `${pixels(to)} px`],
  ]);
}

export function scoring(own) {
  const { trace, look, stage, row, label, rule } = own;
  const box = movedBox(look, stage, row);
  const { score: value, exact } = scoreAt(look, stage, row, label);
  const name = trace.detector.classes[label];
  const told = nearly(value, exact, trace.lowest, rule.floor);
  const passes = own.depth > FLOOR;
  const text = passes
    ? `What is it? ${name} has ${told}, at least the ${plain(rule.floor)} that are asked for: it goes on.`
    : `What is it? ${name} has ${told}, less than the ${plain(rule.floor)} that are asked for: it ends here.`;
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

export function picking(own) {
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

export function decoding(own) {
  const { look, stage, row, label } = own;
  const [from, to] = [movedBox(look, stage, row), finalBox(look, stage, row, label)];
  if (!stage.last)
    return moment(own, "decode", to, "It is large enough to be proposed.", [["size", `${pixels(to)} px`]]);
  const facts = [
    ["size", `${pixels(to)} px`],
    ["IoU with before", iou(from, to).toFixed(2)],
  ];
  if (own.fate === SMALL) return moment(own, "decode", to, "No area is left of it.", facts);
  const again = asksForObjects(stage) ? "Once more it" : "It";
  return moment(own, "decode", to, `${again} ${move(from, to)}.`, facts);
}

export function suppressing(own) {
  const { trace, look, stage, row, label, rule, place } = own;
  const box = finalBox(look, stage, row, label);
  const outcome = own.found ?? stage.candidates;
  const name = stage.last ? trace.detector.classes[label] : "anchor";
  const by = outcome.by[place];
  const other = by >= 0 ? toPicture(look.input, boxAt(stage.candidates.boxes, by)) : null;
  const overlap = outcome.overlap[place];
  if (own.fate === SUPPRESSED) {
    const better = `A better ${name}, with ${score(stage.candidates.scores[by])},`;
    const told = apart(overlap, rule.iou);
    const rest = `${told}, more than ${plain(rule.iou)}: only the better one stays.`;
    const text = `${better} lies on it with an IoU of ${rest}`;
    return moment(own, "suppress", box, text, [["IoU", told]], { by: other });
  }
  const after = outcome.after[place];
  const facts = [["score", score(after)]];
  if (by >= 0) facts.push(["most IoU with a better one", overlap.toFixed(2)]);
  if (own.fate === WEAKENED || (rule.method !== "hard" && by >= 0)) {
    const [from, told] = [score(stage.candidates.scores[place]), apart(after, rule.floor, score(after))];
    const below = own.fate === WEAKENED ? `, below ${plain(rule.floor)}` : "";
    const better = `Better boxes of its class lie on it, one with an IoU of ${overlap.toFixed(2)}`;
    const text = `${better}: its score was weakened from ${from} to ${told}${below}.`;
    return moment(own, "suppress", box, text, facts, { by: other });
  }
  const drops = victims({ ...stage.candidates, ...outcome }, place);
  const dropped = drops ? ` It drops ${many(drops, "worse one")} that did.` : "";
  const text = `No better ${name} overlaps it by more than ${plain(rule.iou)}: it stays.${dropped}`;
  return moment(own, "suppress", box, text, [["drops", number(drops)]]);
}

/** How many a candidate suppressed. */
export function victims({ by, fates }, place) {
  return by.reduce((sum, other, at) => sum + (other === place && fates[at] === SUPPRESSED), 0);
}

export function keeping(own) {
  const { look, stage, row, label, rule, place, found } = own;
  const box = finalBox(look, stage, row, label);
  const best = `The best ${number(rule.keep)} of the picture are kept`;
  if (own.fate === BEYOND_KEEP) return moment(own, "keep", box, `${best}, and it is not among them.`, []);
  const rank = found ? found.kept.indexOf(place) + 1 : 0;
  const text = rank ? `${best}. It is number ${number(rank)}.` : `${best}. It is among them.`;
  return moment(own, "keep", box, text, []);
}

export function framing(own) {
  const { trace, look, stage, row, label } = own;
  const whole = finalBox(look, stage, row, label);
  const box = cut(whole, trace.picture);
  if (own.fate !== KEPT) return moment(own, "frame", whole, "It lies outside of the picture.", []);
  const was = iou(whole, box) < 0.9999 ? " and cut at its border" : "";
  const end = trace.passes.length > 1 ? "what this look found" : "the box that was found";
  return moment(own, "frame", box, `It is brought into the picture's pixels${was}: this is ${end}.`, [
    ["box", box.map(Math.round).join(", ")],
  ]);
}
