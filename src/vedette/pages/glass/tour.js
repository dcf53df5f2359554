// The guided tour: stop by stop it selects and opens what it speaks of.

export function showTour(dock, stops, pane) {
  const part = (name) => dock.querySelector(`[data-tour=${name}]`);
  let at = -1;
  const go = (stop) => {
    at = Math.min(Math.max(stop, 0), stops.length - 1);
    const { title, text } = stops[at];
    part("count").textContent = `${at + 1} of ${stops.length}`;
    part("title").textContent = title;
    part("text").textContent = text;
    part("back").disabled = at === 0;
    part("next").textContent = at === stops.length - 1 ? "Done" : "Next →";
    show(pane, stops, stops[at]);
  };
  const open = () => {
    dock.hidden = false;
    document.body.classList.add("touring");
    go(Math.max(at, 0));
    part("next").focus({ preventScroll: true });
  };
  const close = () => {
    dock.hidden = true;
    document.body.classList.remove("touring");
    at = -1;
    pane.leave();
    pane.tabs.open("follow"); // where the page says what one may do next
  };
  part("next").addEventListener("click", () => (at === stops.length - 1 ? close() : go(at + 1)));
  part("back").addEventListener("click", () => go(at - 1));
  part("close").addEventListener("click", close);
  return { open, close, isOpen: () => !dock.hidden };
}

function show(pane, stops, { step, selection }) {
  pane.turn(pane.own);
  const [hero] = stops.map((stop) => stop.selection).filter(Boolean);
  pane.chooseLook(hero?.look ?? pane.store.now.outcome.detections[0]?.look ?? 0); // whose numbers are told
  if (!selection) return pane.openStep(step);
  if (selection.detection !== undefined) pane.select(selection.detection, false);
  else pane.followPair(selection); // this very one: asked by its box, a better one would answer
  pane.goToStep(step);
}
