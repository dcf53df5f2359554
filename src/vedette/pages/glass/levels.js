// The levels of an input's anchors: as Python wrote them, or in the size that this picture's input has.

import { boxAt, centerOf } from "./boxes.js";

/** known: the levels of an input of one size; `step`, where inputs have others, is the pixels that a cell stands for. */
export function levelsOf(known, { padded: [high, wide] }, anchors) {
  let first = 0;
  return known.map((level) => {
    if (!level.step) return level;
    const [rows, columns] = [Math.ceil(high / level.step), Math.ceil(wide / level.step)];
    const own = { ...level, first, rows, columns };
    own.stride = strideOf(own, anchors, [wide, high]);
    first += rows * columns * level.per_cell;
    return own;
  });
}

/** From cell to cell, across and down; of a single one the input's side. */
function strideOf({ first, rows, columns, per_cell: many }, anchors, sides) {
  const [from, to] = [first, first + (rows * columns - 1) * many].map((anchor) => centerOf(boxAt(anchors, anchor)));
  return [columns, rows].map((cells, axis) => (cells > 1 ? (to[axis] - from[axis]) / (cells - 1) : sides[axis]));
}
