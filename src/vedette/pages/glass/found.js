// The list of what was found, each a button that selects it; and what came near to being found.

import { boxAt, iou, toPicture } from "./boxes.js";
import { element, signOf } from "./draw.js";
import { find } from "./find.js";
import { MOST_LISTED, MOST_NEAR } from "./limits.js";
import { article, many, plain, score } from "./phrases.js";
import { lastStage } from "./outcome.js";
import { BEYOND_KEEP, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";

const SAME = 0.5; // IoU from which on two looks' boxes are of one object

export function showFound(pane) {
  const [list, near, sum] = ["found", "near", "sum"].map((name) => pane.root.querySelector(`[data-part=${name}]`));
  pane.store.whenChanged((now, changed) => {
    if (!["outcome", "selected", "subject", "look"].some((name) => changed.has(name))) return;
    sum.textContent = sumOf(pane.trace, now);
    const shown = now.outcome.detections.slice(0, MOST_LISTED);
    list.replaceChildren(...shown.map((one, place) => foundButton(pane, now, one, place)));
    const rest = now.outcome.detections.length - shown.length;
    if (rest) list.append(element("li", { class: "soft" }, `and ${many(rest, "more", "more")} of lower score`));
    const missed = nearMisses(pane.trace, now);
    near.parentElement.hidden = !missed.length;
    if (pane.trace.merge) near.parentElement.querySelector("h3").textContent = `Nearly found by look ${now.look + 1}`;
    near.replaceChildren(...missed.map((one) => nearButton(pane, now, one)));
  });
}

function sumOf(trace, { outcome, knobs }) {
  const count = outcome.detections.length;
  return count ? `${many(count, "object")} found with a score of ${plain(knobs.floor)} or more` : "Nothing was found";
}

function foundButton(pane, now, { score: value, label }, place) {
  const { colour, ink } = pane.view.looks[label % pane.view.looks.length];
  const hover = (hovered) => () => pane.store.change({ hovered });
  const button = element(
    "button",
    {
      class: "item",
      "aria-pressed": String(now.selected === place),
      onclick: () => pane.select(place),
      onpointerenter: hover(place),
      onpointerleave: hover(null),
      onfocus: hover(place),
      onblur: hover(null),
    },
    element("i", { style: `background:${colour};color:${ink}`, "aria-hidden": "true" }, String(place + 1)),
    ` ${pane.trace.detector.classes[label]} `,
    element("b", {}, score(value)),
  );
  return element("li", {}, button);
}

/** What a lower floor would find, and the best candidate that each other reason lost: what one asks about first. */
function nearMisses(trace, { outcome, knobs, look }) {
  const { candidates, rule } = lastStage(trace.passes[look]);
  const { fates } = outcome.looks[look];
  const lower = find(candidates, { ...rule, ...knobs, floor: trace.lowest });
  const isNew = (place) => fates[place] === UNDER_FLOOR && !isElsewhere(trace, outcome, look, place);
  const under = lower.kept.filter(isNew); // no doubles of what was found
  const gone = [SUPPRESSED, WEAKENED, BEYOND_KEEP].map((fate) => fates.indexOf(fate)).filter((place) => place >= 0);
  return [...under.slice(0, MOST_NEAR - gone.length), ...gone].map((place) => ({
    ...{ place, fate: fates[place], label: candidates.labels[place], score: candidates.scores[place] },
    subject: {
      look,
      stage: trace.passes[look].stages.length - 1,
      row: candidates.rows[place],
      label: candidates.labels[place],
    },
  }));
}

/** Whether another look found it. */
function isElsewhere(trace, { merged, detections }, look, place) {
  const { labels, boxes } = lastStage(trace.passes[look]).candidates;
  const box = toPicture(trace.passes[look].input, boxAt(boxes, place));
  return merged !== null && detections.some((one) => one.label === labels[place] && iou(one.box, box) >= SAME);
}

function nearButton(pane, now, { fate, label, score: value, subject }) {
  const pressed = now.subject?.row === subject.row && now.subject?.label === label && now.selected === null;
  const name = pane.trace.detector.classes[label];
  const button = element(
    "button",
    { class: "item", "aria-pressed": String(pressed), onclick: () => pane.follow(subject, article(name)) },
    signOf(fate),
    ` ${name} `,
    element("b", {}, score(value)),
    element("span", { class: "soft" }, ` ${pane.trace.reasons[fate]}`),
  );
  return element("li", {}, button);
}
