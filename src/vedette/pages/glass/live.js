// The live page: a visitor's photograph goes through the detector inside of it, and is shown as any picture's glass box.

import { unpack } from "./decode.js";
import { wakeDetector } from "./detector.js";
import { fillFigure } from "./figure.js";
import { listenForPhotographs, openPhotograph } from "./photograph.js";
import { wordsOf } from "./stepwords.js";
import { tourOf } from "./stops.js";
import { traceOf } from "./tracing.js";
import { showViews } from "./views.js";

const textOf = (id) => document.getElementById(id).textContent;
const part = (name) => document.querySelector(`[data-live=${name}]`);
const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

async function begin() {
  const data = await unpack(textOf("data"));
  const filled = [".panes", "#tour", "[data-part=begin-tour]", "[data-part=left-out]"];
  const blank = filled.map((one) => [one, document.querySelector(one).cloneNode(true)]);
  const page = { data, blank, end: () => {}, address: null };
  tell("The detector wakes …");
  await painted();
  const texts = { runtime: textOf("runtime"), wasm: textOf("wasm"), network: textOf("network") };
  page.detector = await wakeDetector(texts, data.spec);
  await warmUp(page.detector, data.spec);
  let turn = Promise.resolve();
  const take = (file) => {
    turn = turn.then(() => explain(page, file)).catch(({ message }) => tell(message, true));
  };
  listenForPhotographs(part("file"), take);
  for (const sample of document.querySelectorAll("[data-live=sample]")) {
    sample.addEventListener("click", () => take(fileOf(sample.querySelector("img"))));
  }
  part("file").disabled = false;
  tell("Ready. Nothing leaves this page: the network is in it, and runs here.");
  document.documentElement.dataset.ready = "";
}

/** The first look is several times as slow as those behind it. */
function warmUp(detector, { size }) {
  return detector.look({ width: size, height: size, rows: (top, count) => new Uint8ClampedArray(4 * size * count) });
}

function tell(words, isWrong = false) {
  part("told").textContent = words;
  part("told").classList.toggle("wrong", isWrong);
}

async function explain(page, file) {
  const begin = performance.now();
  tell(`Looking at ${file.name} …`);
  await painted();
  const photograph = await openPhotograph(file);
  const { input, given, seconds } = await page.detector.look(photograph);
  const { width, height } = photograph;
  const trace = traceOf(page.data.still, { width, height }, input, given);
  show(page, trace, photograph);
  const whole = ((performance.now() - begin) / 1000).toFixed(2);
  const size = `${width} × ${height} pixels`;
  tell(`${photograph.name}, ${size}: ${whole} s, ${seconds.toFixed(2)} s of them in the network.`);
  document.documentElement.dataset.shown = file.name;
}

/** In fresh panes: those of the picture before are gone with all that listened to them. */
function show(page, trace, { address, name }) {
  page.end();
  if (page.address) URL.revokeObjectURL(page.address);
  page.address = address;
  for (const [where, fresh] of page.blank) document.querySelector(where).replaceWith(fresh.cloneNode(true));
  document.body.classList.remove("touring");
  document.body.classList.add("seen");
  const view = { trace, words: [wordsOf(page.data.words, trace)], tour: tourOf(page.data.tour, trace) };
  fillFigure(document.querySelector("[data-part=figure]"), trace, address);
  document.querySelector("[data-part=picture]").alt = name;
  const { width, height } = trace.picture;
  document.querySelector("[data-part=stage]").style.setProperty("--ratio", `${width}/${height}`);
  page.end = showViews({ views: [view], looks: page.data.looks }, address);
}

/** A picture of the page as a file. */
function fileOf({ src, alt }) {
  const letters = atob(src.slice(src.indexOf(",") + 1));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  return new File([bytes], alt, { type: "image/jpeg" });
}

begin().catch(({ message }) => tell(`The detector does not run in this browser: ${message}`, true));
