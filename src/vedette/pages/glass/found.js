// The list of what was found, each a button that selects it; and what came near to being found.

import { element, signOf } from "./draw.js";
import { MOST_LISTED, MOST_NEAR } from "./limits.js";
import { article, many, plain, score } from "./phrases.js";
import { lastStage } from "./outcome.js";
import { BEYOND_KEEP, SUPPRESSED, UNDER_FLOOR, WEAKENED } from "./reasons.js";

export function showFound(pane) {
  const [list, near, sum] = ["found", "near", "sum"].map((name) => pane.root.querySelector(`[data-part=${name}]`));
  pane.store.whenChanged((now, changed) => {
    if (!["outcome", "selected", "subject"].some((name) => changed.has(name))) return;
    sum.textContent = sumOf(pane.trace, now);
    const shown = now.outcome.detections.slice(0, MOST_LISTED);
    list.replaceChildren(...shown.map((one, place) => foundButton(pane, now, one, place)));
    const rest = now.outcome.detections.length - shown.length;
    if (rest) list.append(element("li", { class: "soft" }, `and ${many(rest, "more", "more")} of lower score`));
    const missed = nearMisses(pane.trace, now);
    near.parentElement.hidden = !missed.length;
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

/** The best candidates that each reason lost: what one asks about first. */
function nearMisses(trace, { outcome }) {
  const { candidates } = lastStage(trace.passes[0]);
  const { fates } = outcome.looks[0];
  const first = (fate) => fates.indexOf(fate);
  const places = [UNDER_FLOOR, SUPPRESSED, WEAKENED, BEYOND_KEEP].map(first).filter((place) => place >= 0);
  const under = fates.indexOf(UNDER_FLOOR, first(UNDER_FLOOR) + 1);
  const more = first(UNDER_FLOOR) >= 0 && under >= 0 ? [under] : [];
  return [...places, ...more].slice(0, MOST_NEAR).map((place) => ({
    ...{ place, fate: fates[place], label: candidates.labels[place], score: candidates.scores[place] },
    subject: {
      look: 0,
      stage: trace.passes[0].stages.length - 1,
      row: candidates.rows[place],
      label: candidates.labels[place],
    },
  }));
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
