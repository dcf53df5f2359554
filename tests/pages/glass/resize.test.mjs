// A picture becomes the bytes that Python makes of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inputSize, resize } from "../../../src/vedette/pages/glass/resize.js";
import { given } from "./given.mjs";

for (const { name, spec, size, pixels, input, planes, most } of given("resize")) {
  test(`${name}: the same pixels`, () => {
    const [width, height] = size;
    const all = Buffer.from(pixels, "base64");
    const rows = (top, count) => all.subarray(4 * width * top, 4 * width * (top + count));
    assert.deepEqual(inputSize({ width, height }, spec), input);
    const own = resize({ width, height, rows }, input, spec);
    const expected = Buffer.from(planes, "base64");
    assert.equal(own.length, expected.length);
    const worst = own.reduce((far, value, at) => Math.max(far, Math.abs(value - expected[at])), 0);
    assert.ok(worst <= most, `values differ by ${worst}`);
  });
}

test("a large picture is read in strips that follow each other", () => {
  const [width, height] = [3000, 2000];
  let next = 0;
  const rows = (top, count) => {
    assert.equal(top, next);
    next += count;
    return new Uint8ClampedArray(4 * width * count).fill(7);
  };
  const planes = resize({ width, height, rows }, [20, 10], { interpolation: "bilinear", antialias: true });
  assert.equal(next, height);
  assert.ok(planes.every((value) => value === 7));
});
