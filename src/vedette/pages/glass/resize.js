// A picture brought to the size of the network's input, in Pillow's own arithmetic: the same bytes as in Python. What a
// canvas would do with it is each browser's own, and moves boxes.

const STRIP = 1 << 21; // pixels that are read at a time: a large picture is nowhere in whole
const PRECISION = 22; // bits of a weight, as Pillow has it

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
  const across = weightsOf(picture.width, wide, spec);
  const down = weightsOf(picture.height, high, spec);
  return resizeDown(resizeAcross(picture, wide, across), wide, high, down);
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

/** (height, wide, 3) of a picture, strip by strip. */
function resizeAcross({ width, height, rows }, wide, columns) {
  const narrow = new Uint8Array(height * wide * 3);
  const count = Math.max(1, Math.floor(STRIP / width));
  let out = 0;
  for (let top = 0; top < height; top += count) {
    const strip = rows(top, Math.min(count, height - top));
    for (let start = 0; start < strip.length; start += 4 * width) {
      for (const { first, weights } of columns) {
        const sums = [1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)];
        for (let at = 0, pixel = start + 4 * first; at < weights.length; at++, pixel += 4) {
          for (let channel = 0; channel < 3; channel++) sums[channel] += strip[pixel + channel] * weights[at];
        }
        for (let channel = 0; channel < 3; channel++) narrow[out++] = toByte(sums[channel]);
      }
    }
  }
  return narrow;
}

/** (height, wide, 3) → (3, high, wide). */
function resizeDown(narrow, wide, high, rows) {
  const planes = new Uint8Array(3 * high * wide);
  rows.forEach(({ first, weights }, row) => {
    for (let place = 0; place < 3 * wide; place++) {
      let sum = 1 << (PRECISION - 1);
      for (let at = 0; at < weights.length; at++) sum += narrow[(first + at) * 3 * wide + place] * weights[at];
      planes[(place % 3) * high * wide + row * wide + Math.floor(place / 3)] = toByte(sum);
    }
  });
  return planes;
}
