// The grid of a level, and the anchors of one cell: that under the pointer, or that the arrow keys chose.

import { cellBox, cellCenter, cellUnder } from "./anchors.js";
import { boxAt, centerOf, toInput, toPicture } from "./boxes.js";
import { dot, outline } from "./draw.js";
import { anchorsOf, heatOf } from "./heat.js";
import { lastStage } from "./outcome.js";
import { number } from "./phrases.js";
import { asksForObjects, isBarred } from "./rows.js";

const DASHES = ["", "7 4", "2 4", "12 4", "7 3 2 3", "1 3", "12 3 3 3", "4 8", "16 6"]; // one for each shape of a cell

/** The cell of the level under a point of the picture. */
export function cellAt(look, level, [x, y]) {
  const [px, py] = toInput(look.input, [x, y, x, y]);
  return cellUnder(look.levels[level], look.stages[0].references, [px, py]);
}

export function drawGrid({ trace, unit }, { level, cell, look: number }) {
  const look = trace.passes[number];
  const own = look.levels[level];
  const { references } = look.stages[0];
  const marks = [];
  for (let row = 0; row < own.rows; row++) {
    for (let column = 0; column < own.columns; column++) {
      const [x, y] = cellCenter(own, references, row, column);
      marks.push(dot(centerOf(toPicture(look.input, [x, y, x, y])), 1.8 * unit(), "centre"));
    }
  }
  if (!cell) return marks;
  marks.push(
    outline(toPicture(look.input, cellBox(own, references, cell.row, cell.column)), { kind: "cell", width: 1.5 }),
  );
  anchorsOf(look, level, cell.row, cell.column).forEach((anchor, shape) => {
    const box = toPicture(look.input, boxAt(references, anchor));
    marks.push(outline(box, { kind: "anchor", dash: DASHES[shape % DASHES.length], width: 2 }));
  });
  if (own.receptive) marks.push(...receptiveLines(look, own, cell));
  return marks;
}

/** What each head sees around the cell: told of the middle one, and the same everywhere. */
function receptiveLines(look, level, cell) {
  const { references } = look.stages[0];
  const middle = [Math.floor(level.rows / 2), Math.floor(level.columns / 2)];
  const [from, to] = [middle, [cell.row, cell.column]].map((place) => cellCenter(level, references, ...place));
  return Object.values(level.receptive).map(([x1, y1, x2, y2]) => {
    const [across, down] = [to[0] - from[0], to[1] - from[1]];
    const box = toPicture(look.input, [x1 + across, y1 + down, x2 + across, y2 + down]);
    return outline(box, { kind: "sees", dash: "1 5", width: 1.5 });
  });
}

/** The same of a heat map: the value of the cell. */
export function wordsOfHeat(look, { heat, level, cell }) {
  const words = "Bright: more likely. Each square is a cell of the level.";
  if (!cell) return words;
  const value = heatOf(look, heat, level)[cell.row * look.levels[level].columns + cell.column];
  return `${words} Row ${cell.row + 1}, column ${cell.column + 1}: ${value.toFixed(3)}.`;
}

/** The cell in words, for the line under the picture. */
export function wordsOfCell(trace, { level, cell, knobs, look: number }) {
  const look = trace.passes[number];
  const { rows, columns, stride, shapes } = look.levels[level];
  const grid = `${rows} × ${columns} cells, one every ${Math.round(stride[0])} px of the input`;
  if (!cell) return `${grid}: point at a cell, or choose one with the arrow keys.`;
  const sizes = shapes.map(([wide, high]) => `${Math.round(wide)} × ${Math.round(high)}`).join(", ");
  const said = saidOf(trace, look, level, cell, knobs);
  return `${grid}. Row ${cell.row + 1}, column ${cell.column + 1}: anchors of ${sizes}.${said}`;
}

function saidOf(trace, look, level, cell, knobs) {
  const [stage] = look.stages;
  const anchors = anchorsOf(look, level, cell.row, cell.column);
  const words = [];
  if (asksForObjects(stage)) {
    const most = Math.max(...anchors.map((anchor) => stage.objectness[anchor]));
    words.push(` At most ${most.toFixed(2)} an object.`);
    const easy = anchors.filter((anchor) => isBarred(stage, anchor, knobs.theta)).length;
    if (easy) words.push(` ${number(easy)} left out.`);
  }
  return words.join("") + bestOf(trace, lastStage(look), anchors);
}

/** Where the anchors themselves are classified. */
function bestOf(trace, stage, anchors) {
  if (stage.enter !== "anchors") return "";
  const best = anchors.reduce((one, other) => (stage.best.scores[other] > stage.best.scores[one] ? other : one));
  const [name, score] = [trace.detector.classes[stage.best.labels[best]], stage.best.scores[best]];
  return score < trace.lowest ? ` No class has ${trace.lowest}.` : ` Best class: ${name}, about ${score.toFixed(2)}.`;
}
