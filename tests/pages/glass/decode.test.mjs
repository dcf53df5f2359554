// The page's data come out of base64 and gzip as Python put them in.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../../src/vedette/pages/glass/decode.js";
import { given } from "./given.mjs";

test("columns are the numbers that Python wrote", async () => {
  const { packed, plain } = given("columns");
  const data = await unpack(packed);
  assert.equal(data.name, plain.name);
  for (const [name, values] of Object.entries(plain.columns)) {
    assert.deepEqual(Array.from(data.columns[name]), values, name);
  }
});
