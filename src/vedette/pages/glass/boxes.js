// Boxes as [x1, y1, x2, y2]: how well they agree, and the way between an input's pixels and the picture's.

/** The box at a row of a flat column. */
export function boxAt(column, row) {
  return [column[4 * row], column[4 * row + 1], column[4 * row + 2], column[4 * row + 3]];
}

function areaOf([x1, y1, x2, y2]) {
  return Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
}

/** Intersection over union, in float64; 0 where both are empty. */
export function iou(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const shared = width * height;
  const union = areaOf(a) + areaOf(b) - shared;
  return union > 0 ? shared / union : 0;
}

/** A box of the input in the picture's pixels, not cut at its border; in float32, as Python has it. */
export function toPicture(input, box) {
  const [x1, y1, x2, y2] = input.mirrored ? mirrored(input, box) : box;
  const [across, down] = input.scale;
  return [x1 * across, y1 * down, x2 * across, y2 * down].map(Math.fround);
}

/** The way back. */
export function toInput(input, [x1, y1, x2, y2]) {
  const [across, down] = input.scale;
  const box = [x1 / across, y1 / down, x2 / across, y2 / down];
  return input.mirrored ? mirrored(input, box) : box;
}

/** The box cut at the picture's border. */
export function cut([x1, y1, x2, y2], { width, height }) {
  const within = (value, side) => Math.min(Math.max(value, 0), side);
  return [within(x1, width), within(y1, height), within(x2, width), within(y2, height)];
}

export function isVisible([x1, y1, x2, y2]) {
  return x2 > x1 && y2 > y1;
}

export function centerOf([x1, y1, x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2];
}

export function contains([x1, y1, x2, y2], [x, y]) {
  return x >= x1 && x <= x2 && y >= y1 && y <= y2;
}

function mirrored(input, [x1, y1, x2, y2]) {
  return [Math.fround(input.width - x2), y1, Math.fround(input.width - x1), y2];
}
