// What would have had to happen: the knobs that would have to be turned for a candidate to be found.

import { lastStage, outcomeOf } from "./outcome.js";
import { EASY, KEPT, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";

const TRIES = 4; // a candidate has no more obstacles that a knob moves

/**
 * → {knobs: what to change, found: whether it is found then}; null where no knob helps, or the page knows too little.
 */
export function mend(trace, knobs, look, place) {
  const stage = lastStage(trace.passes[look]);
  const changed = {};
  for (let left = TRIES; left > 0 && place >= 0; left--) {
    const outcome = outcomeOf(trace, { ...knobs, ...changed });
    const found = outcome.looks[look];
    if (found.fates[place] === KEPT) return Object.keys(changed).length ? { knobs: changed, found: true } : null;
    const change = turnFor(stage.candidates, found, place, { ...stage.rule, ...knobs, ...changed });
    if (change === null) return null;
    Object.assign(changed, change);
  }
  return null;
}

/** What to turn for the one step that a candidate is lost in. */
function turnFor({ scores, emptiness }, { fates, overlap }, place, rule) {
  switch (fates[place]) {
    case EASY:
      return { theta: upwards(emptiness[place]) };
    case UNDER_FLOOR:
      return { floor: downwards(scores[place]) };
    case SUPPRESSED:
      return { iou: upwards(overlap[place]) };
    case WEAKENED:
      return rule.method === "linear" ? { iou: upwards(overlap[place]) } : { sigma: Math.min(rule.sigma * 2, 8) };
    default:
      return null;
  }
}

/** Rounded so that the candidate is in: a knob has three digits. */
function upwards(value) {
  return Math.min(1, Math.ceil(value * 1000) / 1000);
}

function downwards(value) {
  return Math.floor(value * 1000) / 1000;
}
