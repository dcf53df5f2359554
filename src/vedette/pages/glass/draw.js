// Shapes of SVG in the picture's pixels, each with a dark line under a bright one, so that it shows on any ground.

import { centerOf } from "./boxes.js";
import { markOf } from "./reasons.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An element of HTML; attributes that begin with "on" are listeners. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function twice(tag, attributes, { colour, dash = "", width = 2, kind = "" }) {
  const under = shape(tag, { ...attributes, class: "under", "stroke-width": width + (width < 2 ? 1.4 : 2.5) });
  const style = colour ? `stroke:${colour}` : "";
  const over = shape(tag, {
    ...attributes,
    class: `over ${kind}`,
    "stroke-width": width,
    "stroke-dasharray": dash,
    style,
  });
  return shape("g", {}, under, over);
}

export function outline([x1, y1, x2, y2], look) {
  return twice("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) }, look);
}

export function line([x1, y1], [x2, y2], look) {
  return twice("line", { x1, y1, x2, y2 }, look);
}

/** From the centre of one box to that of another. */
export function tie(from, to, look) {
  return line(centerOf(from), centerOf(to), look);
}

export function dot([x, y], radius, kind) {
  return shape("circle", { cx: x, cy: y, r: radius, class: kind });
}

/** A surface all around a box, so that the box alone is seen clearly. */
export function veil({ width, height }, [x1, y1, x2, y2]) {
  const around = `M0 0H${width}V${height}H0Z`;
  return shape("path", { d: `${around}M${x1} ${y1}V${y2}H${x2}V${y1}Z`, class: "veil" });
}

/** The sign of a fate, beside its name. */
export function signOf(fate) {
  const { name, sign } = markOf(fate);
  return element("i", { class: `sign ${name}`, "aria-hidden": "true" }, sign);
}
