// The grid of the anchors: level by level, row by row, cell by cell.

import { boxAt, centerOf } from "./boxes.js";

/** Where an anchor stands: its level's number, its cell and which of the cell's shapes it is. */
export function cellOf(levels, anchor) {
  const number = levels.findLastIndex((level) => level.first <= anchor);
  const level = levels[number];
  const cell = Math.floor((anchor - level.first) / level.per_cell);
  return {
    level: number,
    row: Math.floor(cell / level.columns),
    column: cell % level.columns,
    shape: (anchor - level.first) % level.per_cell,
  };
}

/** The first anchor of a cell. */
export function firstAnchor(level, row, column) {
  return level.first + (row * level.columns + column) * level.per_cell;
}

/** How many cells stand before a level's own in maps over all levels. */
export function cellsBefore(levels, number) {
  return levels.slice(0, number).reduce((sum, level) => sum + level.rows * level.columns, 0);
}

/** The centre of a cell in the input's pixels; measured from one in the middle, which no border cuts. */
export function cellCenter(level, references, row, column) {
  const middle = [Math.floor(level.rows / 2), Math.floor(level.columns / 2)];
  const [x, y] = centerOf(boxAt(references, firstAnchor(level, ...middle)));
  return [x + (column - middle[1]) * level.stride[0], y + (row - middle[0]) * level.stride[1]];
}

/** The part of the input that a cell answers for. */
export function cellBox(level, references, row, column) {
  const [x, y] = cellCenter(level, references, row, column);
  const [across, down] = level.stride;
  return [x - across / 2, y - down / 2, x + across / 2, y + down / 2];
}

/** The cell of a level under a point of the input, the nearest one where the point is beside the grid. */
export function cellUnder(level, references, [x, y]) {
  const [left, top] = cellCenter(level, references, 0, 0);
  const within = (value, count) => Math.min(Math.max(Math.round(value), 0), count - 1);
  return {
    row: within((y - top) / level.stride[1], level.rows),
    column: within((x - left) / level.stride[0], level.columns),
  };
}
