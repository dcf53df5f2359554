// Numbers as the page says them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { apart, nearly, plain } from "../../../src/vedette/pages/glass/phrases.js";

test("a value has the digits that show on which side of a threshold it lies", () => {
  const told = [0.1, 0.4496, 0.45001, 0.45, 0.4503, 0.46].map((value) => apart(value, 0.45));
  assert.deepEqual(told, ["0.10", "0.4496", "0.45001", "0.45", "0.4503", "0.46"]);
});

test("a threshold is told as it was set", () => {
  assert.deepEqual([0.5, 0.45, 0.1044, 1].map(plain), ["0.5", "0.45", "0.1044", "1"]);
});

test("a score under a floor is seen to be under it", () => {
  assert.equal(nearly(0.10438, true, 0.01, 0.1044), "0.104");
  assert.equal(nearly(0.1044, true, 0.01, 0.10437), "0.1044");
  assert.equal(nearly(0.004, false, 0.01, 0.5), "under 0.01");
});
