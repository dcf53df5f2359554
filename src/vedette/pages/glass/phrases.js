// Numbers and lists as one says them.

export function number(count) {
  return count.toLocaleString("en");
}

export function many(count, noun, nouns = `${noun}s`) {
  return `${number(count)} ${count === 1 ? noun : nouns}`;
}

/** A score, never rounded up to a threshold that it does not reach. */
export function score(value) {
  if (value > 0 && value < 0.001) return "under 0.001";
  return (Math.floor(value * 1000 + 1e-6) / 1000).toFixed(3);
}

/** A score beside a floor; it may be known in eight bits, or not at all. */
export function nearly(value, exact, lowest, floor) {
  if (exact) return apart(value, floor, score(value));
  return value < lowest ? `under ${lowest}` : `about ${value.toFixed(2)}`;
}

export function pixels([x1, y1, x2, y2]) {
  return `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`;
}

/** How a box was moved to become another, in the pixels of both: "moved 3 px right, and became …". */
export function move(before, after) {
  const [x, y] = [0, 1].map((side) => (after[side] + after[side + 2] - before[side] - before[side + 2]) / 2);
  const [wide, high] = [0, 1].map((side) => (after[side + 2] - after[side]) / (before[side + 2] - before[side]));
  const shifts = [way(x, "right", "left"), way(y, "down", "up")].filter(Boolean);
  const shift = shifts.length ? `moved ${shifts.join(" and ")}` : "did not move";
  return `${shift}, and became ${wide.toFixed(2)} times as wide and ${high.toFixed(2)} times as high`;
}

function way(length, ahead, back) {
  const rounded = Math.round(Math.abs(length));
  return rounded ? `${rounded} px ${length > 0 ? ahead : back}` : "";
}

export function article(name) {
  return `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
}

export function capital(sentence) {
  return sentence[0].toUpperCase() + sentence.slice(1);
}

/** A threshold as one sets it. */
export function plain(value) {
  return plainly(value, 6);
}

/** Without the zeros behind the point. */
export function plainly(value, digits) {
  const text = fixed(value, digits);
  return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

/** Exactly halfway between two it is the even one, as Python has it. */
export function fixed(value, digits) {
  const isHalf = /^50*$/.test(value.toFixed(60).split(".")[1].slice(digits));
  const low = Math.floor(value * 10 ** digits);
  return isHalf && low % 2 === 0 ? (low / 10 ** digits).toFixed(digits) : value.toFixed(digits);
}

/** A value beside a threshold, with as many digits as show on which side it lies; first: how it is told if it may. */
export function apart(value, threshold, first = fixed(value, 2)) {
  const side = (number) => Math.sign(number - threshold);
  const texts = [first, ...[3, 4, 5, 6, 7].map((digits) => fixed(value, digits))];
  return texts.find((text) => Number.isNaN(Number(text)) || side(Number(text)) === side(value)) ?? fixed(value, 8);
}
