// What is told of each step of a picture that was looked at in the page.

import { listed, say } from "./say.js";

/** words: of each step, with places for the numbers that `vedette.glass.words.values_of` names. */
export function wordsOf(words, { passes: [look], picture }) {
  const frame = { wide: look.input.width, high: look.input.height, ...picture };
  const [across, down] = look.input.scale;
  const strides = listed(look.levels.map(({ stride: [x] }) => say("{x:plain1}", { x })));
  return Object.fromEntries(
    look.steps.map((step) => {
      const lost = step.in - step.on;
      const values = { ...frame, across, down, strides, came: step.in, on: step.on, lost };
      return [step.name, { ...words[step.name], text: say(words[step.name].text, values) }];
    }),
  );
}
