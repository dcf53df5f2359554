// The detector inside of the page: its network, and ONNX Runtime Web to run it, both out of the page itself.

import { unzip } from "./decode.js";
import { inputSize, resize } from "./resize.js";

/** texts: {runtime, wasm, network} in base64 of gzip; spec: how a picture becomes the input. → a detector, once awake */
export async function wakeDetector(texts, spec) {
  const [runtime, wasm, network] = await Promise.all([texts.runtime, texts.wasm, texts.network].map(unzip));
  const address = URL.createObjectURL(new Blob([runtime], { type: "text/javascript" }));
  const ort = await import(address);
  return makeDetector(ort, wasm, network, spec);
}

/** → {look(picture): {input, given, seconds}}; what is given is told at `traceOf`, seconds are the network's own */
export async function makeDetector(ort, wasm, network, spec) {
  ort.env.wasm.numThreads = 1; // more need a server's headers
  ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  return { look: (picture) => lookWith(ort, session, spec, picture) };
}

async function lookWith(ort, session, spec, picture) {
  const [width, height] = inputSize(picture, spec);
  const padded = [height, width].map((side) => Math.ceil(side / spec.divisor) * spec.divisor);
  const planes = pad(resize(picture, [width, height], spec), [height, width], padded);
  const feeds = { images: new ort.Tensor("uint8", planes, [1, 3, ...padded]) };
  if (session.inputNames.includes("sizes")) {
    feeds.sizes = new ort.Tensor("int64", BigInt64Array.of(BigInt(height), BigInt(width)), [1, 2]);
  }
  const begin = performance.now();
  const given = await session.run(feeds);
  const seconds = (performance.now() - begin) / 1000;
  const columns = Object.entries(given).map(([name, { data }]) => [name, data]);
  return { input: { width, height, padded }, given: Object.fromEntries(columns), seconds };
}

/** (3, H, W) with nothing to the right and below. */
function pad(planes, [height, width], [high, wide]) {
  if (height === high && width === wide) return planes;
  const padded = new Uint8Array(3 * high * wide);
  for (let row = 0; row < 3 * height; row++) {
    const [channel, down] = [Math.floor(row / height), row % height];
    padded.set(planes.subarray(row * width, (row + 1) * width), (channel * high + down) * wide);
  }
  return padded;
}
