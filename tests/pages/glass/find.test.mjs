// What the page finds at any knobs is what the paper's own `find` gives.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../../src/vedette/pages/glass/decode.js";
import { knobsOf, outcomeOf } from "../../../src/vedette/pages/glass/outcome.js";
import { given } from "./given.mjs";

for (const { name, packed, settings } of given("find")) {
  test(`${name}: the same boxes at ${settings.length} settings`, async () => {
    const trace = await unpack(packed);
    for (const { knobs, detections } of settings) {
      const { detections: found } = outcomeOf(trace, { ...knobsOf(trace), ...knobs });
      assertSame(found, detections, JSON.stringify(knobs));
    }
  });
}

/** Both as rows of label, score and box, in one order whatever ties there are. */
function assertSame(found, detections, message) {
  const own = inOrder(found.map(({ label, score, box }) => [label, score, ...box]));
  const expected = inOrder(detections);
  assert.equal(own.length, expected.length, message);
  own.forEach((row, place) => {
    row.forEach((value, at) => {
      const tolerance = at === 1 ? 2e-6 : 2e-3; // float32's last digits of a score, of a pixel
      assert.ok(Math.abs(value - expected[place][at]) <= tolerance, `${message}: ${row} is not ${expected[place]}`);
    });
  });
}

function inOrder(rows) {
  const key = ([label, score, ...box]) => [label, Math.round(score * 1e5), ...box.map(Math.round)];
  return [...rows].sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    const at = a.findIndex((value, place) => value !== b[place]);
    return at < 0 ? 0 : a[at] - b[at];
  });
}
