// Sentences with places for numbers, filled as `vedette.glass.say` in Python fills them; a test holds the two together.

import { apart, article, capital, fixed, plain, plainly } from "./phrases.js";

const SMALL = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

const FORMS = {
  a: article,
  alone: (count) => (count ? inWords(count) : "none"),
  words: inWords,
  share,
  set: plain,
  apart,
  plain: (value) => plainly(value, 3),
  plain0: (value) => plainly(value, 0),
  plain1: (value) => plainly(value, 1),
  plain2: (value) => plainly(value, 2),
  hundredths: (value) => fixed(value, 2),
};

/** The sentence with the values in their places; count: what stands for # outside of them. */
export function say(template, values, count = "#") {
  let said = "";
  let place = 0;
  for (let opening; (opening = template.indexOf("{", place)) >= 0; ) {
    const closing = closingOf(template, opening);
    said += template.slice(place, opening).replaceAll("#", count) + filled(template.slice(opening + 1, closing), values);
    place = closing + 1;
  }
  return said + template.slice(place).replaceAll("#", count);
}

/** What stands for {inside}. */
function filled(inside, values) {
  if (inside.startsWith("^")) return capital(filled(inside.slice(1), values));
  const [first, ...choices] = choicesOf(inside);
  if (choices.length) {
    const count = values[first];
    return say(choices[Math.min(count, 2)], values, inWords(count));
  }
  const [name, told] = first.split(":");
  const value = values[name];
  if (told) {
    const [form, ...beside] = told.split(" ");
    return FORMS[form](value, ...beside.map((other) => values[other]));
  }
  return Number.isInteger(value) ? value.toLocaleString("en") : String(value);
}

function closingOf(template, opening) {
  let depth = 0;
  for (let place = opening; place < template.length; place++) {
    depth += { "{": 1, "}": -1 }[template[place]] ?? 0;
    if (!depth) return place;
  }
  throw new Error(`${template}: a brace is not closed`);
}

/** Parted at those | that stand in no further braces. */
function choicesOf(inside) {
  const parts = [""];
  let depth = 0;
  for (const letter of inside) {
    depth += { "{": 1, "}": -1 }[letter] ?? 0;
    if (letter === "|" && !depth) parts.push("");
    else parts[parts.length - 1] += letter;
  }
  return parts;
}

function inWords(count) {
  return SMALL[count] ?? count.toLocaleString("en");
}

export function listed(things) {
  return things.length > 1 ? `${things.slice(0, -1).join(", ")} and ${things.at(-1)}` : things.join("");
}

/** A score in two digits, three where it is near 1 or 0, cut as the page's, and never either of them. */
function share(score) {
  if (score >= 0.005 && score < 0.995) return fixed(score, 2);
  if ((score >= 0.001 && score < 0.9995) || score === 0 || score === 1) {
    return (Math.floor(score * 1000 + 1e-6) / 1000).toFixed(3);
  }
  return score > 0.5 ? "over 0.999" : "under 0.001";
}
