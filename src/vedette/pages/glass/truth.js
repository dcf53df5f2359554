// The ground truth beside what was found: which object is found or lost by which step, and what a training takes of it.

import { answerOf } from "./ask.js";
import { element, signOf } from "./draw.js";
import { learnersOf, lostOf } from "./lessons.js";
import { many, number, pixels } from "./phrases.js";
import { KEPT } from "./reasons.js";

/** Nothing where the page has no ground truth. */
export function showTruth(pane) {
  const { root, store, view } = pane;
  if (!view.taught) return;
  const panel = root.querySelector("[data-part=truth]");
  root.querySelector("[data-tab=truth]").addEventListener("click", () => pane.openTruth());
  store.whenChanged((now, changed) => {
    if (!["lesson", "outcome", "layer"].some((name) => changed.has(name))) return;
    const card = now.lesson?.object === undefined ? [] : [cardOf(pane, now)];
    panel.replaceChildren(...objectsOf(pane, now), ...card, ...lessonsOf(pane, now));
  });
}

/** A sentence on all objects, and a button for each. */
function objectsOf(pane, now) {
  const { taught } = pane.view;
  const lost = taught.objects.map((one, object) => (one.ignored ? null : lostOf(pane, now, object)));
  const wanted = lost.filter(Boolean);
  const found = wanted.filter(({ reason }) => reason === KEPT).length;
  const ignored = lost.length - wanted.length;
  const rest = ignored ? `, ${number(ignored)} of them ignored` : "";
  const sum = `${many(lost.length, "object")} annotated${rest}; ${number(found)} of ${number(wanted.length)} found`;
  const buttons = lost.map((one, object) => objectButton(pane, now, object, one));
  return [
    element("h3", { class: "part", "aria-live": "polite" }, sum),
    element("ul", { class: "items" }, ...buttons),
    element("p", { class: "soft" }, "Choose one to see why it is found or lost, and which boxes learn it in training."),
  ];
}

function objectButton(pane, now, object, lost) {
  const { label, ignored } = pane.view.taught.objects[object];
  const name = ` ${object + 1} ${pane.trace.detector.classes[label]} `;
  const told = ignored ? "ignored" : lost.reason === KEPT ? "found" : pane.trace.reasons[lost.reason];
  const sign = ignored ? element("i", { class: "sign", "aria-hidden": "true" }, "–") : signOf(lost.reason);
  const button = element(
    "button",
    {
      class: "item",
      "aria-pressed": String(now.lesson?.object === object),
      onclick: () => pane.openTruth({ object, head: now.lesson?.head ?? 0 }),
    },
    sign,
    name,
    element("span", { class: "soft" }, told),
  );
  return element("li", {}, button);
}

/** Of the chosen object: what became of it, and who learns it. */
function cardOf(pane, now) {
  const { object } = now.lesson;
  const { box, label, ignored } = pane.view.taught.objects[object];
  const size = element("p", { class: "soft" }, `It is ${pixels(box)} pixels of the picture.`);
  if (ignored) {
    const why = "Marked as difficult, or as a crowd: it is neither to be found nor learned, nor is it background.";
    return element("div", { class: "answer" }, element("p", {}, why), size);
  }
  const name = pane.trace.detector.classes[label];
  const answer = answerOf(pane, now, { label, name, lost: lostOf(pane, now, object) }, object);
  const heads = pane.view.taught.heads.map((head, place) => headButton(pane, now, head, place));
  const head = element("h4", {}, "Who would learn it in a training");
  answer.append(size, head, element("ul", { class: "items" }, ...heads));
  return answer;
}

function headButton(pane, now, head, place) {
  const { object } = now.lesson;
  const rows = learnersOf(head, object);
  const best = rows.filter((row) => head.learn.best[row]).length;
  const words = [];
  if (rows.length > best) words.push(`${many(rows.length - best, head.thing)} by threshold`);
  if (best) words.push(`${many(best, head.thing)} as its best`);
  const told = words.join(", ") || `no ${head.thing}`;
  const show = { onclick: () => pane.openTruth({ object, head: place }) };
  const pressed = { "aria-pressed": String(now.lesson.head === place) };
  return element("li", {}, element("button", { class: "item", ...show, ...pressed }, ` ${head.name}: ${told}`));
}

/** What all of the picture teaches: the loss, the background that counts, what is left out, the gradient. */
function lessonsOf(pane, now) {
  const { terms, parts, heads } = pane.view.taught;
  const total = terms.reduce((sum, { loss }) => sum + loss, 0);
  const buttons = heads.flatMap((head, place) => [
    restButton(pane, now, place, "background", `as background${hardest(head)}`),
    ...(head.ignored.count ? [restButton(pane, now, place, "ignored", "left out")] : []),
  ]);
  const norms = parts.map(({ name, gradient }) => [element("dt", {}, name), element("dd", {}, short(gradient))]);
  return [
    element("h3", { class: "part" }, `What this picture would teach: a loss of ${short(total)}`),
    element("table", { class: "terms" }, ...terms.map(termRow)),
    element("ul", { class: "items whole" }, ...buttons),
    element(
      "details",
      {},
      element("summary", {}, "How much it moves each part of the network"),
      element("p", { class: "soft" }, "The norm of the gradient of a part's parameters; 0: nothing reaches it."),
      element("dl", {}, ...norms.flat()),
    ),
    element(
      "p",
      { class: "soft" },
      "This picture alone, as it is, by the network as it detects: without changes at random, dropout or batch statistics.",
    ),
  ];
}

function termRow({ name, loss, share }) {
  const bar = element("i", { style: `width:${(100 * share).toFixed(1)}%` });
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, name),
    element("td", {}, short(loss)),
    element("td", {}, `${Math.round(100 * share)} %`),
    element("td", { class: "bar", "aria-hidden": "true" }, bar),
  );
}

function hardest({ background }) {
  const [most] = background.losses;
  return most > 0 ? `, with a loss of up to ${short(most)}` : "";
}

/** What is learned of no object. */
function restButton(pane, now, place, rest, told) {
  const head = pane.view.taught.heads[place];
  const words = `${head.name}: ${many(head[rest].count, head.thing)} ${told}`;
  const pressed = now.lesson?.rest === rest && now.lesson.head === place;
  const show = () => pane.openTruth({ rest, head: place });
  return element(
    "li",
    {},
    element("button", { class: "item", "aria-pressed": String(pressed), onclick: show }, ` ${words}`),
  );
}

/** Three digits that count. */
function short(value) {
  return value >= 1000 ? number(Math.round(value)) : String(Number(value.toPrecision(3)));
}
