// A pane for each detector, what is linked between them, the tour, the keys.

import { iou } from "./boxes.js";
import { element } from "./draw.js";
import { listenToPage } from "./keys.js";
import { keptBack } from "./limits.js";
import { makePane } from "./pane.js";
import { showTour } from "./tour.js";

const SAME = 0.5; // IoU from which on two detectors' boxes are of one object

/** data: {views: [{trace, words: of each look, tour, taught}], looks}; picture: its address. → a function that ends what listens to the page */
export function showViews({ views, looks }, picture) {
  const panes = [];
  const link = (from, detection, place) =>
    panes.forEach((pane) => pane !== from && follow(pane, from, detection, place));
  document.querySelectorAll("[data-pane]").forEach((root, number) => {
    root.querySelector("[data-part=picture]").src = picture;
    panes.push(makePane(root, { ...views[number], looks }, link));
  });
  const leftOut = document.querySelector("[data-part=left-out]");
  leftOut.append(...keptBack(views).map((sentence) => element("li", {}, sentence)));
  const tour = showTour(document.getElementById("tour"), views[0].tour, panes[0]);
  document.querySelector("[data-part=begin-tour]").addEventListener("click", tour.open);
  return listenToPage(panes, tour);
}

/** What another pane shows of what is selected in one: the same object, or where it was lost. */
function follow(pane, from, detection, place) {
  const { linked } = pane;
  pane.linked = null; // it does not answer back
  if (place) pane.ask(place);
  else showSame(pane, from, detection);
  pane.linked = linked;
}

function showSame(pane, from, { box, label }) {
  const name = from.trace.detector.classes[label];
  const own = pane.trace.detector.classes.indexOf(name);
  const { detections } = pane.store.now.outcome;
  const overlaps = detections.map((one) => (one.label === own ? iou(one.box, box) : 0));
  const best = overlaps.reduce((high, value, at) => (value > overlaps[high] ? at : high), 0);
  if (overlaps[best] >= SAME) pane.select(best, false);
  else if (own >= 0) pane.followObject(box, own);
  else pane.leave();
}
