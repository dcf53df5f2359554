// A picture brought to the size of the network's input, in Pillow's own arithmetic: the same bytes as in Python. What a
// canvas would do with it is each browser's own, and moves boxes.

const STRIP = 1 << 21; // pixels that are read at a time: a large picture is nowhere in whole
const PRECISION = 22; // bits of a weight, as Pillow has it
const HALF = 1 << (PRECISION - 1); // what a sum begins with, to be rounded

const KERNELS = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x), -0.5) },
};

function cubic(x, a) {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Width and height of a picture of that size after `resize`, before any padding. */
export function inputSize({ width, height }, spec) {
  if (spec.resize === "warp") return [spec.size, spec.size];
  const longest = spec.max_side === null ? Infinity : spec.max_side / Math.max(width, height);
  const scale = Math.min(spec.size / Math.min(width, height), longest);
  return [width, height].map((side) => Math.max(1, Math.floor(side * scale)));
}

/**
 * picture: {width, height, rows: (top, count) → RGBA of these rows}; spec: {interpolation, antialias}.
 * → (3, high, wide) bytes, a channel after another
 */
export function resize(picture, [wide, high], spec) {
  const [lessWide, lessHigh] = [picture.width - wide, picture.height - high];
  const downFirst = lessHigh > 0 && lessHigh > 2 * lessWide; // Pillow's rule from 13 on; either rounds once in between
  const resized = downFirst
    ? resizeAcross(resizeDown(picture, high, spec), wide, spec)
    : resizeDown(resizeAcross(picture, wide, spec), high, spec);
  return planesOf(resized);
}

/** For each of the pixels that come out: from which on pixels count, how many, and how much each of them. */
function weightsOf(from, to, { interpolation, antialias }) {
  const kernel = KERNELS[interpolation];
  const scale = from / to;
  const stretch = antialias ? Math.max(scale, 1) : 1;
  const support = kernel.support * stretch;
  return Array.from({ length: to }, (_, place) => {
    const center = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const shares = Array.from({ length: end - first }, (_, at) => kernel.at((at + first - center + 0.5) / stretch));
    const sum = shares.reduce((total, share) => total + share, 0);
    return { first, weights: Int32Array.from(shares, (share) => whole((share / sum) * (1 << PRECISION))) };
  });
}

/** Rounded as C does it with a half added. */
function whole(value) {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
}

function toByte(sum) {
  return Math.min(255, Math.max(0, sum >> PRECISION));
}

function* stripsOf({ width, height, rows }) {
  const count = Math.max(1, Math.floor(STRIP / width));
  for (let top = 0; top < height; top += count) yield { top, strip: rows(top, Math.min(count, height - top)) };
}

function resizeAcross(picture, wide, spec) {
  const { width, height } = picture;
  const columns = weightsOf(width, wide, spec);
  const pixels = new Uint8Array(4 * height * wide);
  let out = 0;
  for (const { strip } of stripsOf(picture)) {
    for (let start = 0; start < strip.length; start += 4 * width) {
      for (const { first, weights } of columns) {
        let [red, green, blue] = [HALF, HALF, HALF];
        for (let at = 0, pixel = start + 4 * first; at < weights.length; at++, pixel += 4) {
          red += strip[pixel] * weights[at];
          green += strip[pixel + 1] * weights[at];
          blue += strip[pixel + 2] * weights[at];
        }
        pixels[out] = toByte(red);
        pixels[out + 1] = toByte(green);
        pixels[out + 2] = toByte(blue);
        out += 4;
      }
    }
  }
  return pictureOf(wide, height, pixels);
}

function resizeDown(picture, high, spec) {
  const { width } = picture;
  const sums = new Int32Array(4 * width * high).fill(HALF);
  const targets = weightsOf(picture.height, high, spec);
  for (const { top, strip } of stripsOf(picture)) {
    const bottom = top + strip.length / (4 * width);
    targets.forEach(({ first, weights }, row) => {
      const end = Math.min(bottom, first + weights.length);
      for (let own = Math.max(top, first); own < end; own++) {
        const [from, to, weight] = [4 * width * (own - top), 4 * width * row, weights[own - first]];
        for (let at = 0; at < 4 * width; at++) sums[to + at] += strip[from + at] * weight;
      }
    });
  }
  return pictureOf(width, high, Uint8Array.from(sums, toByte));
}

function pictureOf(width, height, pixels) {
  return { width, height, rows: (top, count) => pixels.subarray(4 * width * top, 4 * width * (top + count)) };
}

function planesOf({ width, height, rows }) {
  const pixels = rows(0, height);
  const size = width * height;
  return Uint8Array.from({ length: 3 * size }, (_, at) => pixels[4 * (at % size) + Math.floor(at / size)]);
}
