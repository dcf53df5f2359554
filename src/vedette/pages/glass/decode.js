// The data of the page: base64 of gzip of [length of the head][head as JSON][the columns' bytes, little-endian].

const ARRAYS = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array };

/** The page's data with typed arrays for columns; quantised ones as float32 numbers. */
export async function unpack(text) {
  const { buffer: bytes } = await unzip(text);
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return withColumns(head, bytes.slice(4 + length));
}

/** The bytes that are in base64 of gzip. */
export async function unzip(text) {
  const letters = atob(text.trim());
  const packed = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) packed[place] = letters.charCodeAt(place);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The same value, where each {"type", "at", "shape"} has become its numbers, row by row. */
function withColumns(value, bytes) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((one) => withColumns(one, bytes));
  if ("at" in value && value.type in ARRAYS) return columnOf(value, bytes);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withColumns(one, bytes)]));
}

function columnOf({ type, at, shape, scale, rises }, bytes) {
  const count = shape.reduce((product, side) => product * side, 1);
  const values = new ARRAYS[type](bytes, at, count).slice(); // equal columns share their bytes
  if (rises) sumUp(values, rises);
  return scale === undefined ? values : Float32Array.from(values, (value) => value * scale);
}

/** Numbers that were written as the difference to those `stride` before. */
function sumUp(values, stride) {
  for (let place = stride; place < values.length; place++) values[place] += values[place - stride];
}
