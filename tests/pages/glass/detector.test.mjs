// A network that Python exported gives in ONNX Runtime Web what the model gives in Python.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { makeDetector } from "../../../src/vedette/pages/glass/detector.js";
import { given } from "./given.mjs";

const web = process.env.VEDETTE_WEB;
const ort = await import(pathToFileURL(join(web, "ort.wasm.bundle.min.mjs")));
const wasm = readFileSync(join(web, "ort-wasm-simd-threaded.wasm"));
const network = readFileSync(join(process.env.VEDETTE_GLASS_DATA, "network.onnx"));
const cases = given("detector");
const detector = await makeDetector(ort, wasm, new Uint8Array(network), cases[0].spec);

for (const { name, size, pixels, seen, scores, boxes } of cases) {
  test(`${name}: the same scores and boxes`, async () => {
    const [width, height] = size;
    const all = Buffer.from(pixels, "base64");
    const rows = (top, count) => all.subarray(4 * width * top, 4 * width * (top + count));
    const { input, given: found } = await detector.look({ width, height, rows });
    assert.deepEqual(input, seen);
    near(found.scores, scores, 0.01);
    near(found.boxes, boxes.flat(), 0.5);
  });
}

function near(own, expected, most) {
  assert.equal(own.length, expected.length);
  const worst = expected.reduce((far, value, at) => Math.max(far, Math.abs(value - own[at])), 0);
  assert.ok(worst <= most, `off by ${worst}`);
}
