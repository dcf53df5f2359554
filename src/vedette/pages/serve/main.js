// The page: a picture comes in, goes to the service, and what it answers is shown as the slider and the classes say.

import { detect, explain } from "./ask.js";
import { Camera } from "./camera.js";
import { draw } from "./draw.js";
import { showGlass } from "./glass.js";
import { curl, python } from "./lines.js";

const at = (id) => document.getElementById(id);
const given = JSON.parse(at("given").textContent);
// found: in the picture `seen`, which may be the camera's; off: labels that are not shown
const state = { picture: null, seen: null, found: null, off: new Set(), number: 0 };

const camera = new Camera(at("video"), (blob) => look(blob));

/** A picture from anywhere but the camera. */
function take(file) {
  if (!file) return;
  stopCamera();
  URL.revokeObjectURL(at("picture").src);
  at("picture").src = URL.createObjectURL(file);
  at("picture").hidden = false;
  at("boxes").replaceChildren();
  at("stage").classList.remove("empty");
  state.picture = file;
  say("Looking …");
  look(file);
}

async function look(picture) {
  const number = ++state.number; // an answer that comes after a later question is not shown
  const asked = { model: at("model").value, key: at("key").value, least: given.least };
  if (picture.size > given.megabytes * 2 ** 20) return say(`The file has more than ${given.megabytes} MB.`, true);
  try {
    const found = await detect(picture, asked);
    if (number !== state.number) return;
    state.found = found;
    state.seen = picture;
    say(`${found.width} × ${found.height} pixels, ${Math.round(found.milliseconds)} ms`);
    show();
  } catch (error) {
    if (number === state.number) fail(error);
  }
}

function fail(error) {
  state.found = null;
  at("boxes").replaceChildren();
  at("panel").hidden = at("code").hidden = true;
  say(error.message, true);
}

function say(words, bad = false) {
  at("status").textContent = words;
  at("status").classList.toggle("bad", bad);
}

/** What was found, as the slider and the classes say. */
function show() {
  if (!state.found) return;
  at("panel").hidden = at("code").hidden = false;
  at("why").hidden = !given.explained.includes(state.found.model);
  const score = Number(at("score").value);
  at("shown").textContent = score.toFixed(2);
  const above = state.found.detections.map((row, index) => ({ ...row, index })).filter((row) => row.score >= score);
  const rows = above.filter((row) => !state.off.has(row.label));
  showClasses(above);
  draw(at("boxes"), state.found, rows, given.colours);
  at("list").replaceChildren(...rows.map(listed));
  showCode(score, above, rows);
}

function listed(row) {
  const line = document.createElement("li");
  const words = document.createElement("span");
  const value = document.createElement("b");
  words.textContent = row.name;
  value.textContent = row.score.toFixed(2);
  line.append(dot(row.label), words, value);
  const mark = (on) => {
    line.classList.toggle("on", on);
    at("boxes").querySelector(`[data-index="${row.index}"]`)?.classList.toggle("on", on);
  };
  line.addEventListener("pointerenter", () => mark(true));
  line.addEventListener("pointerleave", () => mark(false));
  return line;
}

function dot(label) {
  const made = document.createElement("i");
  made.className = "dot";
  made.style.background = given.colours[label % given.colours.length][0];
  return made;
}

/** A box to tick for each class, with how many there are; the one in focus keeps it. */
function showClasses(rows) {
  const focused = document.activeElement?.dataset?.label;
  const classes = new Map(state.found.detections.map((row) => [row.label, row.name]));
  const boxes = [...classes].sort(([a], [b]) => a - b).map(([label, name]) => {
    const count = rows.filter((row) => row.label === label).length;
    const line = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !state.off.has(label) });
    box.dataset.label = label;
    box.addEventListener("change", () => {
      if (box.checked) state.off.delete(label);
      else state.off.add(label);
      show();
    });
    line.append(box, dot(label), `${name} (${count})`);
    line.hidden = count === 0;
    return line;
  });
  at("classes").replaceChildren(...boxes);
  at("classes").querySelector(`[data-label="${focused}"]`)?.focus();
}

function showCode(score, above, rows) {
  const names = [...new Set(above.filter((row) => !state.off.has(row.label)).map((row) => row.name))];
  const what = { model: state.found.model, score, classes: rows.length < above.length ? names : null, withKey: given.withKey };
  const detections = rows.map(({ index, ...row }) => row);
  at("json").textContent = JSON.stringify({ ...state.found, detections }, null, 1);
  at("curl").textContent = curl(what);
  at("python").textContent = python(what);
}

async function why() {
  const asked = { model: state.found.model, key: at("key").value, score: at("score").value };
  const before = at("status").textContent;
  say("Looking into every step …");
  try {
    await showGlass(() => explain(state.seen, asked));
    say(before);
  } catch (error) {
    say(error.message, true); // what was found stays
  }
}

function stopCamera() {
  camera.stop();
  at("video").hidden = at("shoot").hidden = true;
  at("camera").textContent = "Camera";
}

async function toggleCamera() {
  if (camera.running) {
    stopCamera();
    at("boxes").replaceChildren();
    at("stage").classList.add("empty");
    state.number++;
    return say("");
  }
  try {
    at("picture").hidden = true;
    at("video").hidden = at("shoot").hidden = false;
    at("stage").classList.remove("empty");
    at("camera").textContent = "Stop the camera";
    await camera.start();
  } catch (error) {
    stopCamera();
    at("stage").classList.add("empty");
    fail(error);
  }
}

async function copy(button) {
  const text = at(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch { // pages of http:// may not write to the clipboard: the text is marked, to be copied by hand
    getSelection().selectAllChildren(at(button.dataset.copy));
    button.textContent = "Marked: Ctrl-C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

at("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
at("camera").addEventListener("click", toggleCamera);
at("shoot").addEventListener("click", async () => take(await camera.frame()));
at("picture").addEventListener("load", show); // boxes fit the picture once its size is known
at("picture").addEventListener("error", () => {
  at("picture").hidden = true;
  at("stage").classList.add("empty"); // a file that the browser cannot show, be it one that the service can read
});
at("score").addEventListener("input", show);
at("why").addEventListener("click", why);
at("model").addEventListener("change", () => state.picture && look(state.picture));
at("key").value = sessionStorage.getItem("key") ?? "";
at("key").addEventListener("change", () => {
  sessionStorage.setItem("key", at("key").value);
  if (state.picture) look(state.picture);
});
addEventListener("paste", (event) => take([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files[0]);
});
addEventListener("resize", show);
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));
