// A picture that was looked at in the page gives the trace, the words and the tour that Python gives of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../../src/vedette/pages/glass/decode.js";
import { everPicked } from "../../../src/vedette/pages/glass/everpicked.js";
import { knobsOf, outcomeOf } from "../../../src/vedette/pages/glass/outcome.js";
import { say } from "../../../src/vedette/pages/glass/say.js";
import { tourOf } from "../../../src/vedette/pages/glass/stops.js";
import { traceOf } from "../../../src/vedette/pages/glass/tracing.js";
import { wordsOf } from "../../../src/vedette/pages/glass/stepwords.js";
import { given } from "./given.mjs";

const CLOSE = 1e-3; // pixels, and more than enough for scores
const SIXTEENTH = 1 / 16;

for (const { name, packed, words, stops } of given("live")) {
  test(`${name}: the trace`, async () => {
    const { told, picture, input, columns, expected } = await unpack(packed);
    const trace = traceOf(told.still, picture, input, columns);
    sameLook(trace.passes[0], expected.passes[0]);
    const { detections } = outcomeOf(trace, knobsOf(trace));
    near(detections.flatMap(({ box }) => box), expected.detections.boxes, 0.01, "detections");
    assert.deepEqual(detections.map(({ label }) => label), [...expected.detections.labels]);
  });

  test(`${name}: the words and the tour`, async () => {
    const { told, picture, input, columns } = await unpack(packed);
    const trace = traceOf(told.still, picture, input, columns);
    assert.deepEqual(wordsOf(told.words, trace), words);
    const own = tourOf(told.tour, trace);
    assert.deepEqual(own.map(({ text }) => text), stops.map(({ text }) => text));
    own.forEach((stop, at) => {
      assert.deepEqual([stop.title, stop.step], [stops[at].title, stops[at].step]);
      sameSelection(stop.selection, stops[at].selection);
    });
  });
}

function sameLook(look, expected) {
  near(look.input.scale, expected.input.scale, 1e-6, "scale");
  assert.deepEqual(look.input.padded, expected.input.padded);
  assert.deepEqual(look.steps, expected.steps);
  look.levels.forEach((level, at) => {
    const { first, rows, columns, per_cell: many, stride } = expected.levels[at];
    assert.deepEqual([level.first, level.rows, level.columns, level.per_cell], [first, rows, columns, many]);
    near(level.stride, stride, CLOSE, "stride");
  });
  const [stage] = look.stages;
  const [own] = expected.stages;
  assert.deepEqual(stage.rule, own.rule);
  assert.equal(stage.rows, own.rows);
  for (const name of ["references", "moved"]) if (own[name]) near(stage[name], own[name], SIXTEENTH, name);
  assert.equal(stage.moved === null, own.moved === null);
  near(stage.objectness, own.objectness, 1 / 255, "objectness");
  near(stage.maps, own.maps, 1 / 255, "maps");
  near(stage.best.scores, own.best.scores, 1 / 255, "best scores");
  for (const name of ["labels", "fates"]) assert.deepEqual(stage.best[name], own.best[name], name);
  near(stage.best.boxes, own.best.boxes, SIXTEENTH, "best boxes");
  assert.deepEqual(stage.beyond, own.beyond);
  for (const [name, column] of Object.entries(own.candidates)) near(stage.candidates[name], column, CLOSE, name);
}

function sameSelection(one, other) {
  if (!other?.box) return assert.deepEqual(one, other);
  near(one.box, other.box, 0.11, "selection"); // rounded to a tenth
  assert.equal(one.label, other.label);
}

function near(own, expected, most, message) {
  assert.equal(own.length, expected.length, message);
  own.forEach((value, at) => {
    const far = Math.abs(value - expected[at]);
    assert.ok(far <= most, `${message} at ${at}: ${value} is not ${expected[at]}`);
  });
}

test("by hand: with θ a pair on a full row waits for fewer rivals", () => {
  const scores = Float32Array.of(0.9, 0.8, 0.7, 0.6);
  const emptiness = [0.5, 0.1, 0.5, 0.1];
  const stage = { classes: 1, scores, rule: { pick: { of: "image", count: 1, levels: null } } };
  assert.deepEqual(everPicked([0, 1, 2, 3], stage, (pair) => emptiness[pair]), [1, 0]);
  const each = { ...stage, rule: { pick: { of: "level", count: 1, levels: [2, 2] } } };
  assert.deepEqual(everPicked([0, 1, 2, 3], each, () => 0), [0, 2]);
});

test("sentences are filled as Python fills them", () => {
  for (const { template, values, said } of given("said")) assert.equal(say(template, values), said, template);
});
