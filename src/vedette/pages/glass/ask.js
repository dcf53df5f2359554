// Asking about a place: a click anywhere, or a box that is drawn, and the answer which step lost what is there.

import { element } from "./draw.js";
import { cellAt } from "./grid.js";
import { classIn, hypotheses } from "./here.js";
import { fateOf, lostAt } from "./lost.js";
import { mend } from "./mend.js";
import { article, nearly, score } from "./phrases.js";
import { KEPT, MISPLACED, NOT_PROPOSED, NO_ANCHOR, UNDER_FLOOR, markOf } from "./reasons.js";
import { placeAt } from "./rows.js";

const A_BOX = 6; // CSS pixels: a shorter way of the pointer is a click

export function listenToPicture(pane) {
  const stage = pane.root.querySelector("[data-part=stage]");
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = pane.pointOf(event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const point = pane.pointOf(event);
    if (from && isBox(pane, from, point)) pane.store.change({ drawing: spanned(from, point) });
    else if (pane.store.now.layer !== "found") pane.store.change({ cell: cellAt(pane.trace, pane.store.now.level, point) });
  });
  stage.addEventListener("pointerup", (event) => {
    if (!from) return;
    const point = pane.pointOf(event);
    const box = isBox(pane, from, point) ? spanned(from, point) : null;
    from = null;
    pane.ask(box ?? point);
  });
  stage.addEventListener("pointercancel", () => {
    from = null;
    pane.store.change({ drawing: null });
  });
}

function isBox({ unit }, [ax, ay], [bx, by]) {
  return Math.min(Math.abs(ax - bx), Math.abs(ay - by)) > A_BOX * unit();
}

export function spanned([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
}

/** What to answer for a point, or a box: [{lost, label, box}], the likeliest first. */
export function answersFor(trace, { outcome, knobs, asked }, place) {
  const lost = (box, label) => ({ box, label, lost: lostAt(trace, outcome, knobs, box, label) });
  if (place.length === 4) return [lost(place, asked ?? classIn(trace, place))];
  return hypotheses(trace, place, asked).map((had) => {
    const answer = lost(had.box, had.label);
    const isOwn = answer.lost.reason === KEPT;
    return isOwn ? answer : { ...answer, lost: fateOf(trace, outcome, knobs, had) };
  });
}

export function showAnswers(pane) {
  const panel = pane.root.querySelector("[data-part=answer]");
  pane.store.whenChanged((now, changed) => {
    if (!changed.has("answer")) return;
    panel.hidden = !now.answer;
    if (!now.answer) return;
    const heads = [element("h3", {}, now.answer.length > 1 ? "What the detector had here" : "What became of it")];
    const none = element("p", {}, "No box of the detector covers this place. Draw a box to ask for one.");
    panel.replaceChildren(...heads, ...(now.answer.length ? now.answer.map((one, place) => answerOf(pane, now, one, place)) : [none]));
  });
}

function answerOf(pane, now, { label, lost }, place) {
  const { trace } = pane;
  const name = trace.detector.classes[label];
  const mark = markOf(lost.reason);
  const verdict = lost.reason === KEPT ? "found" : `lost: ${trace.reasons[lost.reason]}`;
  const found = lost.reason === KEPT ? mark.name : `lost ${mark.name}`;
  const head = element("h4", { class: found }, element("i", { class: `sign ${mark.name}`, "aria-hidden": "true" }, mark.sign), ` ${place + 1} ${name}, ${verdict}`);
  const follow = lost.row < 0 ? [] : [followButton(pane, lost, name)];
  const [words, turn] = mending(pane, now, lost);
  const buttons = element("p", { class: "row" }, ...[...follow, turn].filter(Boolean));
  return element("div", { class: "answer" }, head, element("p", {}, whyOf(pane, lost, name), " ", words), buttons);
}

function followButton(pane, lost, name) {
  const subject = { look: lost.look, stage: pane.trace.passes[lost.look].stages.indexOf(lost.stage), row: lost.row, label: lost.label };
  const words = lost.reason === KEPT ? "Follow how it was found" : "Follow it to where it was lost";
  return element("button", { onclick: () => pane.follow(subject, article(name)) }, words);
}

/** One sentence on why. */
function whyOf({ trace, titleOf }, lost, name) {
  const { floor } = lost.stage.rule;
  const near = `the best box has an IoU of ${lost.iou.toFixed(2)} with it`;
  const value = nearly(lost.score, lost.exact, trace.lowest);
  switch (lost.reason) {
    case KEPT:
      return `A ${name} with a score of ${score(lost.score)} was found here; its box and this one agree with an IoU of ${lost.iou.toFixed(2)}.`;
    case NO_ANCHOR:
      return lost.row < 0
        ? "Nothing was proposed at all."
        : `No ${lost.stage.enter === "anchors" ? "anchor" : "region"} comes near such a box: the nearest has an IoU of ${lost.iou.toFixed(2)}, and 0.5 is needed. It would take anchors of another size or place.`;
    case UNDER_FLOOR:
      return `The network looked here, and did not believe it: ${name} has ${value}, and ${floor} is asked for. ${insteadOf(trace, lost)}`;
    case MISPLACED:
      return `Boxes began here, but the network moved them off, to something else: at the end ${near}, below 0.5.`;
    case NOT_PROPOSED:
      return `It was lost before anybody asked for its class, in the step “${titleOf(lost.step)}”: it was not proposed.`;
    default:
      return `${near[0].toUpperCase()}${near.slice(1)} and ${name} a score of ${value}. It was lost in the step “${titleOf(lost.step)}”.`;
  }
}

function insteadOf(trace, { won, wonScore, score: own }) {
  if (won < 0 || wonScore <= own) return "";
  return `More likely it took it for ${article(trace.detector.classes[won])} (${score(wonScore)}).`;
}

/** What would have had to happen, in words, and a button that turns the knobs so. */
function mending(pane, now, lost) {
  if (lost.reason === KEPT) return [""];
  if (lost.reason === MISPLACED || !lost.stage.last) return ["No threshold would bring it back."];
  const place = placeAt(lost.stage, lost.row, lost.label);
  const change = mend(pane.trace, now.knobs, lost.look, place);
  if (!change) return ["No threshold would bring it back."];
  const names = { floor: "score", iou: "NMS IoU", theta: "θ", sigma: "σ" };
  const settings = Object.entries(change.knobs).map(([knob, value]) => `${names[knob]} ${value}`);
  const words = `This box would be found with ${settings.join(" and ")}.`;
  return [words, element("button", { onclick: () => pane.turn(change.knobs) }, "Try that")];
}
