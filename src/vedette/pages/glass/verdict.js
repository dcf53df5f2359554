// Why something was found or lost, in a sentence or two.

import { apart, article, capital, nearly, plain, score } from "./phrases.js";
import { KEPT, MISPLACED, NOT_PROPOSED, NO_ANCHOR, UNDER_FLOOR } from "./reasons.js";

/** lost: an answer of `lostAt` or `fateOf`. */
export function whyOf({ trace, titleOf }, knobs, lost) {
  const name = trace.detector.classes[lost.label];
  const overlap = lost.iou?.toFixed(2);
  const value = nearly(lost.score, lost.exact, trace.lowest, knobs.floor);
  const near = `the best box has an IoU of ${overlap} with it`;
  const step = `in the step “${titleOf(lost.step)}”`;
  switch (lost.reason) {
    case KEPT:
      return `${capital(article(name))} of score ${score(lost.score)} was found here${overlap ? `, with an IoU of ${overlap}` : ""}.`;
    case NO_ANCHOR:
      return nothingNear(lost);
    case UNDER_FLOOR: {
      const believed = `${name} has ${value}, and ${plain(knobs.floor)} is asked for.`;
      return `The network looked here, and did not believe it: ${believed}${insteadOf(trace, lost)}`;
    }
    case MISPLACED:
      if (lost.iou >= 0.5) return `${capital(near)}, but lies more on another ${name}: it counts for that one.`;
      return `Boxes began here, but the network moved them off, to something else: at the end the best box has an IoU of ${apart(lost.iou, 0.5)} with it, below 0.5.`;
    case NOT_PROPOSED:
      return `It was lost before anybody asked for its class, ${step}: it was not proposed.`;
    default:
      return `${capital(near)} and ${name} a score of ${value}. It was lost ${step}.`;
  }
}

function nothingNear({ row, stage, iou }) {
  if (row < 0) return "Nothing was proposed at all.";
  const thing = stage.enter === "anchors" ? "anchor" : "region";
  const needs = `the nearest has an IoU of ${apart(iou, 0.5)}, and 0.5 is needed`;
  return `No ${thing} comes near such a box: ${needs}. It would take one of another size or place.`;
}

/** What the network took it for. */
function insteadOf(trace, { won, wonScore, score: own }) {
  if (won < 0 || wonScore <= own) return "";
  return ` More likely it took it for ${article(trace.detector.classes[won])} (${score(wonScore)}).`;
}
