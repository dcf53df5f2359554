// Asking about a place: a click anywhere, or a box that is drawn, and the answer which step lost what is there.

import { cut } from "./boxes.js";
import { element, signOf } from "./draw.js";
import { cellAt } from "./grid.js";
import { classIn, hypotheses, likeliest } from "./here.js";
import { fateOf, lostAt } from "./lost.js";
import { mend } from "./mend.js";
import { article } from "./phrases.js";
import { KEPT, MISPLACED } from "./reasons.js";
import { placeAt } from "./rows.js";
import { whyOf } from "./verdict.js";

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
    else if (["grid", "heat"].includes(pane.store.now.layer))
      pane.store.change({ cell: cellUnderPointer(pane, point) });
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

function cellUnderPointer({ trace, store: { now } }, point) {
  return cellAt(trace.passes[now.look], now.level, point);
}

function isBox({ unit }, [ax, ay], [bx, by]) {
  return Math.min(Math.abs(ax - bx), Math.abs(ay - by)) > A_BOX * unit();
}

export function spanned([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
}

/** What to answer for a point, or a box: [{lost, label, box}], the likeliest first. */
export function answersFor(trace, { outcome, knobs, asked, look }, place) {
  const lost = (box, label) => ({ box, label, lost: lostAt(trace, outcome, knobs, box, label) });
  if (place.length === 4) return [lost(place, asked ?? classIn(trace, look, place))];
  const had = hypotheses(trace, look, place, asked);
  if (!had.length && trace.passes[look].stages.length > 1) {
    const box = likeliest(trace, look, place);
    return box ? [lost(box, asked ?? 0)] : [];
  }
  return had.map((one) => {
    const answer = lost(one.box, one.label);
    if (answer.lost.reason !== KEPT) return { ...answer, lost: fateOf(trace, outcome, knobs, one) };
    const found = { ...answer.lost, iou: null }; // nobody drew a box to compare with
    return { ...answer, box: cut(found.box, trace.picture), lost: found };
  });
}

export function showAnswers(pane) {
  const panel = pane.root.querySelector("[data-part=answer]");
  const choice = pane.root.querySelector("[data-part=asked]");
  choice.append(...pane.trace.detector.classes.map((name, label) => element("option", { value: label }, name)));
  choice.addEventListener("change", () => {
    pane.store.change({ asked: choice.value === "" ? null : Number(choice.value) });
    if (pane.store.now.place) pane.ask(pane.store.now.place);
  });
  pane.store.whenChanged((now, changed) => {
    if (!changed.has("answer")) return;
    panel.hidden = !now.answer;
    if (!now.answer) return;
    const heads = [element("h3", {}, now.answer.length > 1 ? "What the detector had here" : "What became of it")];
    const none = element("p", {}, "No box of the detector covers this place. Draw a box to ask for one.");
    const answers = now.answer.map((one, place) => answerOf(pane, now, one, place));
    panel.replaceChildren(...heads, ...(answers.length ? answers : [none]));
  });
}

/** name: of what is asked about, where it is known. */
export function answerOf(pane, now, { label, lost, name = nameOf(pane.trace, { label, lost }) }, place) {
  const { trace } = pane;
  const verdict = lost.reason === KEPT ? "found" : `lost: ${trace.reasons[lost.reason]}`;
  const head = element("h4", {}, signOf(lost.reason), ` ${place + 1} ${name}, ${verdict}`);
  const follow = lost.row < 0 ? [] : [followButton(pane, lost, name)];
  const [words, turn] = mending(pane, now, lost);
  const buttons = element("p", { class: "row" }, ...[...follow, turn].filter(Boolean));
  return element("div", { class: "answer" }, head, element("p", {}, whyOf(pane, now.knobs, lost), " ", words), buttons);
}

/** What was asked for: before anybody asks for classes, an object. */
export function nameOf(trace, { label, lost }) {
  return lost.stage.last ? trace.detector.classes[label] : "object";
}

function followButton(pane, lost, name) {
  const subject = {
    look: lost.look,
    stage: pane.trace.passes[lost.look].stages.indexOf(lost.stage),
    row: lost.row,
    label: lost.label,
  };
  const words = lost.reason === KEPT ? "Follow how it was found" : "Follow it to where it was lost";
  return element("button", { onclick: () => pane.follow(subject, article(name)) }, words);
}

/** What would have had to happen, in words, and a button that turns the knobs so. */
function mending(pane, now, lost) {
  if (lost.reason === KEPT) return [""];
  if (lost.reason === MISPLACED || !lost.stage.last) return ["No threshold would bring it back."];
  const place = placeAt(lost.stage, lost.row, lost.label);
  if (place < 0) return ["No setting of this page would bring it back."];
  const change = mend(pane.trace, now.knobs, lost.look, place);
  if (!change) return ["No threshold would bring it back."];
  const names = { floor: "score", iou: "NMS IoU", theta: "θ", sigma: "σ" };
  const settings = Object.entries(change.knobs).map(([knob, value]) => `${names[knob]} ${value}`);
  const words = `This box would be found with ${settings.join(" and ")}.`;
  return [words, element("button", { onclick: () => pane.turn(change.knobs) }, "Try that")];
}
