// Names on the picture do not hide one another.

import assert from "node:assert/strict";
import { test } from "node:test";

import { freeShift } from "../../../src/vedette/pages/glass/spread.js";

const STAGE = { top: 0, bottom: 100 };
const at = (left, top) => ({ left, right: left + 40, top, bottom: top + 10 });

test("a name that meets none stays, and one beside another too", () => {
  assert.equal(freeShift(at(0, 20), [], STAGE), 0);
  assert.equal(freeShift(at(0, 20), [at(40, 20), at(0, 30)], STAGE), 0);
});

test("a name goes the shorter way", () => {
  assert.equal(freeShift(at(0, 23), [at(10, 20)], STAGE), 7);
  assert.equal(freeShift(at(0, 17), [at(10, 20)], STAGE), -7);
});

test("past the next one too, and not out of the picture", () => {
  assert.equal(freeShift(at(0, 23), [at(10, 20), at(10, 30)], STAGE), -13);
  assert.equal(freeShift(at(0, 2), [at(10, 4), at(10, 14)], STAGE), 22);
});

test("where no place is near, it stays", () => {
  const column = Array.from({ length: 10 }, (_, place) => at(10, 10 * place));
  assert.equal(freeShift(at(0, 41), column, STAGE), 0);
});
