// Where the page says that an object was lost is where `trace.lost` says it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../../src/vedette/pages/glass/decode.js";
import { lostAt } from "../../../src/vedette/pages/glass/lost.js";
import { knobsOf, outcomeOf } from "../../../src/vedette/pages/glass/outcome.js";
import { withIndex } from "../../../src/vedette/pages/glass/rows.js";
import { given } from "./given.mjs";

for (const { name, packed, objects } of given("lost")) {
  test(`${name}: ${objects.length} objects are lost where Python loses them`, async () => {
    const trace = withIndex(await unpack(packed));
    const knobs = knobsOf(trace);
    const outcome = outcomeOf(trace, knobs);
    for (const { box, label, others, expected } of objects) {
      const lost = lostAt(trace, outcome, knobs, box, label, others);
      const message = `${JSON.stringify({ box, label, expected })} against ${trace.reasons[lost.reason]} at ${lost.step}`;
      assert.equal(trace.reasons[lost.reason], expected.reason, message);
      assert.equal(lost.step, expected.step, message);
      // Which row, or look, is the best of these is known in eight bits alone
      const coarse = /(refine|floor)$/.test(lost.step) && !(lost.exact && trace.passes.length === 1);
      if (coarse) continue;
      assert.ok(Math.abs(lost.iou - expected.iou) < 0.02, `${message}: IoU ${lost.iou}`);
    }
  });
}
