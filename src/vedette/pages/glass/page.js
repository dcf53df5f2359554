// The page: its data, a pane for each detector, the tour, the keys.

import { iou } from "./boxes.js";
import { unpack } from "./decode.js";
import { element } from "./draw.js";
import { listenToPage } from "./keys.js";
import { keptBack } from "./limits.js";
import { makePane } from "./pane.js";
import { showTour } from "./tour.js";

const SAME = 0.5; // IoU from which on two detectors' boxes are of one object

async function begin() {
  const data = await unpack(document.getElementById("data").textContent);
  const picture = document.querySelector("[data-part=picture]").src;
  const panes = [];
  const link = (from, detection, place) =>
    panes.forEach((pane) => pane !== from && follow(pane, from, detection, place));
  document.querySelectorAll("[data-pane]").forEach((root, number) => {
    root.querySelector("[data-part=picture]").src = picture;
    panes.push(makePane(root, { ...data.views[number], looks: data.looks }, link));
  });
  const leftOut = document.querySelector("[data-part=left-out]");
  leftOut.append(...keptBack(data.views).map((sentence) => element("li", {}, sentence)));
  const tour = showTour(document.getElementById("tour"), data.views[0].tour, panes[0]);
  document.querySelector("[data-part=begin-tour]").addEventListener("click", tour.open);
  listenToPage(panes, tour);
  document.documentElement.dataset.ready = "";
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

begin();
