// One detector's view of the picture: what it shows now, and what one can do with it.

import { answersFor, listenToPicture, showAnswers } from "./ask.js";
import { element } from "./draw.js";
import { showFound } from "./found.js";
import { listenToStage } from "./keys.js";
import { showLayers } from "./layers.js";
import { showLifeline, wantsNoMotion } from "./lifeline.js";
import { lostAt } from "./lost.js";
import { showNetwork } from "./network.js";
import { knobsOf } from "./outcome.js";
import { article } from "./phrases.js";
import { showPicture } from "./picture.js";
import { withIndex } from "./rows.js";
import { showSliders, turned } from "./sliders.js";
import { KEPT } from "./reasons.js";
import { makeStore } from "./store.js";
import { showTabs } from "./tabs.js";
import { trailOf } from "./trail.js";
import { showTruth } from "./truth.js";

const NOTHING = {
  ...{ subject: null, subjectName: "", trail: null, moment: 0, between: null, playing: false },
  ...{ selected: null, step: null, answer: null, place: null, drawing: null, lesson: null },
};

/** view: {trace, words, taught, looks}; linked: told of what is selected here. */
export function makePane(root, view, linked) {
  const trace = withIndex(view.trace);
  const own = knobsOf(trace);
  const first = {
    ...NOTHING,
    hovered: null,
    cross: null,
    asked: null,
    layer: "found",
    look: 0,
    level: 0,
    cell: null,
    heat: null,
  };
  const store = makeStore({ ...first, ...turned(trace, own, own) });
  const pane = { root, view, trace, own, store, linked, ...measures(root, trace), ...wordsFrom(view, trace) };
  Object.assign(pane, actions(pane), choices(pane));
  pane.tabs = showTabs(root);
  pane.player = showLifeline(pane);
  for (const show of [showLayers, showPicture, showFound, showNetwork, showSliders, showAnswers, showTruth]) show(pane);
  listenToPicture(pane);
  listenToStage(pane);
  new ResizeObserver(() => store.change({ size: root.querySelector("[data-part=stage]").clientWidth })).observe(root);
  return pane;
}

/** From the screen to the picture: a pointer's place, and how many of its pixels one of the screen is. */
function measures(root, { picture }) {
  const stage = root.querySelector("[data-part=stage]");
  return {
    unit: () => picture.width / (stage.clientWidth || picture.width),
    pointOf: ({ clientX, clientY }) => {
      const { left, top, width, height } = stage.getBoundingClientRect();
      const within = (value) => Math.min(Math.max(value, 0), 1);
      return [within((clientX - left) / width) * picture.width, within((clientY - top) / height) * picture.height];
    },
  };
}

/** What a step is called, and what is told of it. */
function wordsFrom({ words }) {
  return {
    titleOf: (step) => words[0][step]?.title ?? step,
    wordsOf: (step, look) => {
      const told = words[look][step];
      if (!told) return "";
      const equation = element("div", { class: "equation" });
      equation.innerHTML = told.equation; // MathML that Python wrote
      const source = [told.paper, told.code].filter(Boolean).join(" · ");
      const head = element("summary", {}, "What this step does");
      return element(
        "details",
        { open: matchMedia("(min-width: 901px)").matches },
        head,
        element("p", {}, told.text),
        equation,
        element("p", { class: "soft source" }, source),
      );
    },
  };
}

/** Moving along: selecting, following, opening. */
function actions(pane) {
  const { trace, store } = pane;
  const follow = (subject, name, more = {}) => {
    pane.player.stop();
    const { outcome, knobs } = store.now;
    const trail = trailOf(trace, outcome, knobs, subject);
    const kept = { answer: store.now.answer, ...more };
    const isLost = trail.at(-1).fate !== KEPT; // then that is what one wants to know
    const moment = isLost ? trail.length - 1 : 0;
    store.change({ ...NOTHING, ...kept, subject, subjectName: name, trail, moment, layer: "found" });
    pane.tabs.open("follow");
    if (!isLost && !wantsNoMotion()) pane.player.start();
  };
  const goTo = (moment, byHand = true) => {
    const { trail, moment: before } = store.now;
    if (!trail?.[moment]) return;
    if (byHand) pane.player.stop();
    store.change({ moment });
    if (moment === before + 1) pane.player.glide(trail[before].box, trail[moment].box);
  };
  return {
    follow,
    goTo,
    goToStep: (step) => goTo(store.now.trail?.findIndex((moment) => moment.step === step) ?? -1),
    leave: () => {
      pane.player.stop();
      store.change({ ...NOTHING, layer: "found", cross: null });
    },
    openStep: (step) => {
      pane.player.stop();
      store.change({ ...NOTHING, step, layer: "found" });
      pane.tabs.open("network");
    },
    openTruth: (lesson = null) => {
      pane.player.stop();
      store.change({ ...NOTHING, layer: "truth", lesson });
      pane.tabs.open("truth");
    },
    chooseLook: (look) => {
      store.change({ look, cell: null });
      if (store.now.place) pane.ask(store.now.place);
    },
    showLayer: (layer) => {
      if (layer === "truth") return pane.openTruth();
      pane.player.stop();
      store.change({ ...NOTHING, layer, cell: null });
    },
    turn: (knobs) => turn(pane, knobs),
  };
}

function turn({ trace, store, own, player }, knobs) {
  player.stop();
  store.change({ ...NOTHING, step: store.now.step, ...turned(trace, own, { ...store.now.knobs, ...knobs }) });
}

/** Choosing what to follow: a detection, an object that was lost, a place. */
function choices(pane) {
  const { trace, store } = pane;
  const nameOf = (label) => trace.detector.classes[label];
  const followObject = (box, label) => {
    const lost = lostAt(trace, store.now.outcome, store.now.knobs, box, label);
    if (lost.row < 0) return;
    const stage = trace.passes[lost.look].stages.indexOf(lost.stage);
    pane.follow({ look: lost.look, stage, row: lost.row, label: lost.label }, article(nameOf(label)));
  };
  return {
    followObject,
    followPair: ({ look, row, label }) => {
      const stage = trace.passes[look].stages.length - 1;
      pane.follow({ look, stage, row, label }, article(nameOf(label)));
    },
    select: (place, tell = true) => {
      const one = store.now.outcome.detections[place];
      if (!one) return;
      const look = trace.passes[one.look];
      const row = look.stages.at(-1).candidates.rows[one.place];
      const subject = { look: one.look, stage: look.stages.length - 1, row, label: one.label };
      pane.follow(subject, `the ${nameOf(one.label)}`, { selected: place, answer: null });
      if (tell) pane.linked?.(pane, one);
    },
    ask: (place) => {
      pane.player.stop();
      const answer = answersFor(trace, store.now, place);
      const box = place.length === 4 ? place : null;
      store.change({ ...NOTHING, layer: "found", drawing: box, cross: box ? null : place, place, answer });
      pane.tabs.open("follow");
      pane.linked?.(pane, null, place);
    },
  };
}
