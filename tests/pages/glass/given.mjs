// What the Python test wrote for the tests of the scripts: a folder named by the environment.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export function given(name) {
  const folder = process.env.VEDETTE_GLASS_DATA;
  if (!folder) throw new Error("these tests are run by tests/pages/test_glass_scripts.py, which makes their data");
  return JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
}
