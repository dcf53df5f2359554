// Heat maps over the picture: of being an object, or of a class, cell by cell of one level.

import { cellBox, cellsBefore, firstAnchor } from "./anchors.js";
import { toPicture } from "./boxes.js";
import { lastStage } from "./outcome.js";
import { asksForObjects } from "./rows.js";

// From dark blue to bright yellow, rising in lightness: the same for every kind of colour vision.
const RAMP = [
  [0, 32, 77],
  [58, 75, 107],
  [124, 123, 120],
  [188, 175, 111],
  [255, 234, 70],
];

/** What there are heat maps of: [{value, name}]; "object" where the network asks for it, then "any", then classes. */
export function heatChoices(trace) {
  const look = trace.passes[0];
  const choices = asksForObjects(look.stages[0]) ? [{ value: "object", name: "any object (objectness)" }] : [];
  if (!lastStage(look).maps) return choices;
  const classes = trace.detector.classes.map((name, label) => ({ value: String(label), name }));
  return [...choices, ...(choices.length ? [] : [{ value: "any", name: "any class" }]), ...classes];
}

/** The value of each cell of a level, row by row. */
export function heatOf(look, of, level) {
  const { rows, columns } = look.levels[level];
  const value = of === "object" ? objectnessAt : of === "any" ? bestAt : classAt;
  const cells = Array.from({ length: rows * columns }, (_, cell) => cell);
  return cells.map((cell) => value(look, level, cell, Number(of)));
}

/** Paints the values; the highest is said beside the map. → the highest */
export function paintHeat(canvas, { width, height }, look, values, level) {
  const { rows, columns } = look.levels[level];
  const highest = values.reduce((most, value) => Math.max(most, value), 0);
  const context = canvas.getContext("2d");
  Object.assign(canvas, { width, height });
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const box = toPicture(look.input, cellBox(look.levels[level], look.stages[0].references, row, column));
      const [x1, y1, x2, y2] = box.map(Math.round);
      context.fillStyle = colourAt(highest > 0 ? values[row * columns + column] / highest : 0);
      context.fillRect(x1, y1, x2 - x1, y2 - y1);
    }
  }
  return highest;
}

function colourAt(share) {
  const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const [low, high] = [RAMP[Math.floor(place)], RAMP[Math.ceil(place)]];
  const mixed = low.map((value, channel) => Math.round(value + (high[channel] - value) * (place % 1)));
  return `rgb(${mixed.join(" ")})`;
}

function highestOf(look, level, cell, values) {
  const { first, per_cell: many } = look.levels[level];
  const from = first + cell * many;
  return values.subarray(from, from + many).reduce((most, value) => Math.max(most, value), 0);
}

function objectnessAt(look, level, cell) {
  return highestOf(look, level, cell, look.stages[0].objectness);
}

function bestAt(look, level, cell) {
  return highestOf(look, level, cell, lastStage(look).best.scores);
}

function classAt(look, level, cell, label) {
  const stage = lastStage(look);
  return stage.maps[(cellsBefore(look.levels, level) + cell) * stage.classes + label];
}

/** The anchors of a cell with what is known of them, for the words under the picture. */
export function anchorsOf(look, level, row, column) {
  const { per_cell: many } = look.levels[level];
  const first = firstAnchor(look.levels[level], row, column);
  return Array.from({ length: many }, (_, shape) => first + shape);
}
