// What the page finds at any knobs is what the paper's own `find` gives.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../../src/vedette/pages/glass/decode.js";
import { find } from "../../../src/vedette/pages/glass/find.js";
import { knobsOf, outcomeOf } from "../../../src/vedette/pages/glass/outcome.js";
import { BEYOND_COUNT, KEPT, SMALL, SUPPRESSED, WEAKENED } from "../../../src/vedette/pages/glass/reasons.js";
import { given } from "./given.mjs";

test("by hand: the best of each level are picked, the best drops what it overlaps, a side of 0 is no box", () => {
  const candidates = {
    rows: Int32Array.of(2, 1, 0, 3, 3),
    labels: Int32Array.of(0, 0, 0, 0, 1),
    group: Int32Array.of(0, 0, 0, 0, 1),
    boxes: Float32Array.of(0, 0, 10, 10, 0, 0, 10, 8, 0, 0, 9, 9, 50, 50, 60, 60, 5, 5, 5, 9),
    scores: Float32Array.of(0.9, 0.8, 0.7, 0.6, 0.3),
    emptiness: new Float32Array(5),
  };
  const pick = { of: "level", count: 1, levels: [2, 2] };
  const rule = { pick, floor: 0.3, iou: 0.79, method: "hard", sigma: 0.5, keep: 9, least_side: 0, theta: null };
  const one = find(candidates, rule);
  assert.deepEqual([...one.fates], [KEPT, SUPPRESSED, BEYOND_COUNT, BEYOND_COUNT, BEYOND_COUNT]);
  assert.deepEqual([one.by[1], one.overlap[1], one.kept], [0, 0.8, [0]]);
  const all = find(candidates, { ...rule, iou: 0.8, pick: { ...pick, count: 3 } });
  assert.deepEqual([...all.fates], [KEPT, KEPT, SUPPRESSED, KEPT, SMALL]);
  const soft = find(candidates, { ...rule, method: "linear", floor: 0.2 });
  assert.equal(soft.fates[1], WEAKENED);
  assert.equal(soft.after[1], Math.fround(Math.fround(0.8) * (1 - 0.8)));
});

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
