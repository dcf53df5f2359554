// The picture and what is drawn on it: what was found, an open step, a life line, a place that was asked about.

import { nameOf } from "./ask.js";
import { cut } from "./boxes.js";
import { dot, element, line, outline, tie, veil } from "./draw.js";
import { drawGrid } from "./grid.js";
import { heatOf, paintHeat } from "./heat.js";
import { lostOf, truthLines } from "./lessons.js";
import { MOST_TAGS } from "./limits.js";
import { score } from "./phrases.js";
import { markOf } from "./reasons.js";
import { spread } from "./spread.js";
import { linesOfStep } from "./steplines.js";

export function showPicture(pane) {
  const { root, store } = pane;
  const [marks, tags, canvas] = ["marks", "tags", "heat"].map((name) => root.querySelector(`[data-part=${name}]`));
  const { width, height } = pane.trace.picture;
  marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
  store.whenChanged((now, changed) => {
    marks.replaceChildren(...layersOf(pane, now));
    const named = tagsOf(pane, now);
    tags.replaceChildren(...named.toReversed()); // the best on top
    spread(named, tags);
    if (["layer", "level", "heat", "look"].some((name) => changed.has(name))) drawHeat(pane, canvas, now);
  });
}

function drawHeat({ trace, root }, canvas, { layer, level, heat, look: number }) {
  canvas.hidden = layer !== "heat";
  root.querySelector("[data-part=scale]").hidden = layer !== "heat";
  if (layer !== "heat") return;
  const look = trace.passes[number];
  const highest = paintHeat(canvas, trace.picture, look, heatOf(look, heat, level), level);
  root.querySelector("[data-part=highest]").textContent = highest.toFixed(highest < 0.1 ? 3 : 2);
}

function layersOf(pane, now) {
  const layers = [];
  if (now.layer === "grid") layers.push(...drawGrid(pane, now));
  if (now.layer === "truth") layers.push(...truthLines(pane, now));
  if (now.trail) layers.push(...trailLines(pane, now));
  else if (now.step) layers.push(...linesOfStep(pane, now));
  else if (now.layer !== "grid" && !now.answer && !now.lesson) layers.push(...foundLines(pane, now));
  if (now.answer && !now.trail) layers.push(...answerLines(now));
  if (now.drawing) layers.push(outline(now.drawing, { kind: "asked", dash: "4 4" }));
  if (now.cross) layers.push(...crossLines(pane, now.cross));
  return layers;
}

function foundLines({ view }, { outcome, hovered }) {
  const lines = outcome.detections.map(({ box, label }, place) =>
    outline(box, { colour: view.looks[label % view.looks.length].colour, width: place === hovered ? 4.5 : 2.5 }),
  );
  return lines.reverse();
}

/** Where the box was at each moment up to now, thin; where it is, thick; and who suppressed it. */
function trailLines({ trace }, { trail, moment, between }) {
  const past = trail.slice(0, moment).map(({ box }) => outline(box, { kind: "past", dash: "2 5", width: 1.5 }));
  const { box, fate, by, pooled } = trail[moment];
  const seen = between ?? box;
  const mark = markOf(fate);
  const lines = [veil(trace.picture, cut(seen, trace.picture)), ...past];
  if (pooled && !between) lines.push(...binLines(pooled));
  if (by) lines.push(outline(by, { kind: "rival", dash: "", width: 2 }), tie(by, box, { kind: "rival", dash: "2 4" }));
  lines.push(outline(seen, { kind: mark.name, dash: mark.dash, width: 3.5 }));
  return lines;
}

/** The part of the picture that a region is read from, and the bins that it is pooled into. */
function binLines({ window, bins }) {
  const [x1, y1, x2, y2] = window;
  const at = (from, to, bin) => from + ((to - from) * bin) / bins;
  const inner = Array.from({ length: bins - 1 }, (_, bin) => bin + 1);
  const look = { kind: "anchor", width: 1 };
  const lines = inner.flatMap((bin) => [
    line([at(x1, x2, bin), y1], [at(x1, x2, bin), y2], look),
    line([x1, at(y1, y2, bin)], [x2, at(y1, y2, bin)], look),
  ]);
  return [outline(window, { kind: "window", dash: "4 3", width: 1 }), ...lines];
}

/** The boxes that an answer speaks of, with their numbers there. */
function answerLines({ answer }) {
  return answer.map(({ box, lost }) =>
    outline(box, { kind: markOf(lost.reason).name, dash: markOf(lost.reason).dash, width: 2.5 }),
  );
}

function crossLines({ unit }, point) {
  return [dot(point, 7 * unit(), "cross"), dot(point, 1.5 * unit(), "cross-centre")];
}

/** A name at each box, the best first: of what was found, of the life line's box. */
function tagsOf(pane, now) {
  if (now.trail) {
    const { box, fate } = now.trail[now.moment];
    const words = `${markOf(fate).sign} ${now.subjectName}`;
    return [tagAt(pane, now.between ?? box, element("span", { class: `tag ${markOf(fate).name}` }, words))];
  }
  if (now.answer) return now.answer.map((one, place) => answerTag(pane, one, place));
  if (now.step || now.layer === "grid") return [];
  if (now.layer === "truth") return truthTags(pane, now);
  const shown = now.outcome.detections.slice(0, MOST_TAGS);
  return shown.map((one, place) => foundTag(pane, one, place, shown.length));
}

function answerTag(pane, answer, place) {
  const words = `${place + 1} ${nameOf(pane.trace, answer)} ${markOf(answer.lost.reason).sign}`;
  return tagAt(pane, answer.box, element("span", { class: "tag" }, words));
}

/** The chosen object's name, or that of each, with what became of it. */
function truthTags(pane, now) {
  return pane.view.taught.objects.flatMap(({ box, label, ignored }, object) => {
    if (now.lesson && now.lesson.object !== object) return [];
    const sign = ignored ? "–" : markOf(lostOf(pane, now, object).reason).sign;
    const words = `${object + 1} ${pane.trace.detector.classes[label]} ${sign}`;
    return [tagAt(pane, box, element("span", { class: "tag" }, words))];
  });
}

/** The more there are, the less each says: the list has it all. */
function foundTag(pane, { box, score: value, label }, place, many) {
  const { colour, ink } = pane.view.looks[label % pane.view.looks.length];
  const name = pane.trace.detector.classes[label];
  const button = element(
    "button",
    {
      class: "tag",
      style: `background:${colour};color:${ink}`,
      title: `How ${name} was reached`,
      onclick: (event) => {
        event.stopPropagation();
        pane.select(place);
      },
      onpointerdown: (event) => event.stopPropagation(),
    },
    [place + 1, ...(many > 16 ? [] : many > 7 ? [name] : [name, score(value)])].join(" "),
  );
  return tagAt(pane, box, button);
}

/** Above the box, or inside of it where there is no room. */
function tagAt({ trace, unit }, box, tag) {
  const { width, height } = trace.picture;
  const [x, y] = cut(box, trace.picture);
  const above = y > 24 * unit();
  const right = x > 0.7 * width;
  tag.style.left = right ? "auto" : `${(100 * x) / width}%`;
  tag.style.right = right ? `${(100 * (width - cut(box, trace.picture)[2])) / width}%` : "auto";
  tag.style.top = `${(100 * y) / height}%`;
  tag.style.translate = above ? "0 -100%" : "0 0";
  return tag;
}
