// Boxes over the picture as SVG, in the picture's own pixels; a class has one colour everywhere.

const SVG = "http://www.w3.org/2000/svg";
const LETTER = 13; // CSS pixels, whatever size the picture is shown in

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

/** found: {width, height}; rows: its detections that are shown; colours: [line, letters] of a label. */
export function draw(svg, found, rows, colours) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${found.width} ${found.height}`);
  const scale = found.width / (svg.getBoundingClientRect().width || found.width); // picture's pixels to one of CSS
  const size = LETTER * scale;
  for (const row of [...rows].reverse()) {
    const [x1, y1, x2, y2] = row.box;
    const [line, letters] = colours[row.label % colours.length];
    const group = element("g", { "data-index": row.index }, svg);
    const place = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
    element("rect", { ...place, class: "under" }, group);
    element("rect", { ...place, class: "box", stroke: line }, group);
    const words = element("text", { "font-size": size, fill: letters }, group);
    words.textContent = `${row.name} ${row.score.toFixed(2)}`;
    const wide = words.getComputedTextLength() + 0.7 * size;
    const x = Math.max(0, Math.min(x1, found.width - wide));
    const y = y1 > 1.45 * size ? y1 - 1.45 * size : y1;
    const plate = element("rect", { x, y, width: wide, height: 1.45 * size, class: "plate", style: `fill:${line}` }, group);
    group.insertBefore(plate, words);
    words.setAttribute("x", x + 0.35 * size);
    words.setAttribute("y", y + 1.06 * size);
  }
}
