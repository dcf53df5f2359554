// What a step did, drawn: who goes on in solid lines, who does not in the dashes of the reason.

import { boxAt, centerOf, toPicture } from "./boxes.js";
import { dot, line, outline, tie } from "./draw.js";
import { MOST_BARRED, MOST_BOXES, MOST_CENTRES, MOST_MOVED } from "./limits.js";
import { mergeCounts, mergeLines } from "./looks.js";
import { lastStage } from "./outcome.js";
import { KEPT, LOST_IN, STEPS, SUPPRESSED, markOf } from "./reasons.js";
import { asksForObjects, firstBox, isBarred, movedBox } from "./rows.js";
import { cellCenter } from "./anchors.js";

/** The stage of a step's name and which of STEPS it is; -1 for the first one, null for what belongs to no stage. */
function placeOfStep(look, name) {
  for (const stage of look.stages) {
    if (name === stage.enter) return { stage, step: -1 };
    const step = STEPS.findIndex((one) => stage.name + one === name);
    if (step >= 0) return { stage, step };
  }
  return null;
}

export function linesOfStep(pane, now) {
  const look = pane.trace.passes[now.look];
  if (now.step.startsWith("merge ")) return mergeLines(now.outcome.merged);
  const place = placeOfStep(look, now.step);
  if (place.step === -1) return enterLines(pane, look, place.stage);
  if (place.step === 0 && asksForObjects(place.stage)) return moveLines(pane, look, place.stage, now);
  return rivalLines(pane, look, place, now);
}

/** Regions as boxes; of anchors the centres of all cells, those of the coarser levels larger. */
function enterLines({ unit }, look, stage) {
  if (stage.enter === "regions") {
    const rows = Array.from({ length: Math.min(stage.rows, MOST_BOXES) }, (_, row) => row);
    return rows.map((row) => outline(firstBox(look, stage, row), { kind: "plain", width: 1.2 })).reverse();
  }
  return look.levels.flatMap((level, number) => {
    const step = Math.max(1, Math.ceil(Math.sqrt((level.rows * level.columns) / MOST_CENTRES)));
    const dots = [];
    for (let row = 0; row < level.rows; row += step) {
      for (let column = 0; column < level.columns; column += step) {
        const [x, y] = cellCenter(level, stage.references, row, column);
        const center = centerOf(toPicture(look.input, [x, y, x, y]));
        dots.push(dot(center, (1.2 + number) * unit(), `level l${number % 6}`));
      }
    }
    return dots;
  });
}

/** The rows that are most likely objects, each with a line from where it was; some that were left out. */
function moveLines(pane, look, stage, now) {
  const theta = now.knobs.theta;
  const order = Array.from(stage.objectness.keys()).sort((a, b) => stage.objectness[b] - stage.objectness[a]);
  const gone = order.filter((row) => isBarred(stage, row, theta)).reverse();
  const on = order.filter((row) => !isBarred(stage, row, theta)).slice(0, MOST_MOVED);
  const lines = gone.slice(0, MOST_BARRED).map((row) => {
    const mark = markOf(stage.best.fates[row]);
    return outline(movedBox(look, stage, row), { kind: mark.name, dash: mark.dash, width: 1.2 });
  });
  for (const row of on.reverse()) {
    const [from, to] = [firstBox(look, stage, row), movedBox(look, stage, row)];
    lines.push(outline(to, { kind: "kept", width: 1.2 }), tie(from, to, { kind: "kept", width: 1.2 }));
  }
  return lines;
}

/** Candidates that came to a step: solid where they go on, dashed where not; suppressed ones tied to who did it. */
function rivalLines(pane, look, { stage, step }, { outcome, look: number }) {
  const { boxes } = stage.candidates;
  const found = stage === lastStage(look) ? outcome.looks[number] : stage.candidates;
  const box = (place) => toPicture(look.input, boxAt(boxes, place));
  const here = Array.from(found.fates.keys()).filter((place) => LOST_IN[found.fates[place]] >= step);
  const isOn = (place) => found.fates[place] === KEPT || LOST_IN[found.fates[place]] > step;
  const lost = here.filter((place) => !isOn(place)).slice(0, MOST_BOXES);
  const on = here.filter(isOn).slice(0, MOST_BOXES);
  const lines = lost.reverse().flatMap((place) => {
    const mark = markOf(found.fates[place]);
    const own = outline(box(place), { kind: mark.name, dash: mark.dash, width: 1.3 });
    const by = found.fates[place] === SUPPRESSED ? found.by[place] : -1;
    const link = { kind: mark.name, dash: "1 4", width: 1 };
    return by < 0 ? [own] : [own, line(centerOf(box(place)), centerOf(box(by)), link)];
  });
  return [...lines, ...on.reverse().map((place) => outline(box(place), { kind: "kept", width: 3 }))];
}

/** How many of a look went through a step at the knobs as they are: {came, went}; the trace's where none was turned. */
export function countsAt(trace, now, name, number) {
  const look = trace.passes[number];
  const told = look.steps.find((step) => step.name === name);
  if (name.startsWith("merge ")) return mergeCounts(now.outcome.merged, name);
  const place = placeOfStep(look, name);
  if (!now.turned || !place || !place.stage.last || place.step < 2) return told && { came: told.in, went: told.on };
  const depths = Array.from(now.outcome.looks[number].fates, (fate) => LOST_IN[fate]);
  const reached = (step) => depths.filter((depth) => depth >= step).length;
  return { came: reached(place.step), went: reached(place.step + 1) };
}
