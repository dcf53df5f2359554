// The life line of one box: moment by moment from the anchor, or region, to the end or to the step that lost it.

import { boxAt, iou, toPicture } from "./boxes.js";
import { mergedMoments, nameOfLook } from "./looks.js";
import {
  decoding,
  entering,
  framing,
  keeping,
  moment,
  picking,
  refining,
  scoring,
  suppressing,
  victims,
} from "./moments.js";
import { many, number } from "./phrases.js";
import { KEPT, LOST_IN, STEPS } from "./reasons.js";
import { asksForObjects, fateAt, finalBox, firstBox, isBarred, placeAt } from "./rows.js";

const [REFINE, FLOOR, , , , , FRAME] = STEPS.keys();

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
  own.end = finalBox(look, stage, row, label);
  own.fate = fateAt(look, stage, row, label, found, knobs);
  own.depth = isBarred(stage, row, own.rule.theta) ? REFINE : LOST_IN[own.fate];
  const ends = stage.last && own.fate === KEPT ? mergedMoments(trace, outcome, knobs, number, own.place) : [];
  const trail = [...before(own), ...momentsOf(own), ...ends];
  if (trace.passes.length > 1) trail[0].facts = [["look", nameOfLook(trace, number)], ...trail[0].facts];
  return trail;
}

/** What the RPN made of the anchor, where the stage's rows are its proposals. */
function before(own) {
  const { trace, look, stage, row } = own;
  const proposing = look.stages[look.stages.indexOf(stage) - 1];
  if (!proposing) return [];
  const anchor = sourceOf(own, proposing);
  if (anchor < 0) return [];
  const first = {
    ...own,
    stage: proposing,
    row: anchor,
    label: 0,
    found: null,
    rule: proposing.rule,
    depth: STEPS.length,
  };
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
