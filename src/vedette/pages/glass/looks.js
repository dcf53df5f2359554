// Several looks at a picture: which of them saw a box, what their merging made of it, and who voted on its place.

import { outline, tie } from "./draw.js";
import { MOST_BOXES } from "./limits.js";
import { votersOf } from "./outcome.js";
import { apart, many, number, plain, score } from "./phrases.js";
import { BEYOND_KEEP, KEPT, SUPPRESSED, WEAKENED, markOf } from "./reasons.js";

/** "2 of 4, 320 × 213 px, mirrored"; "" where there is one look alone. */
export function nameOfLook(trace, place) {
  const { width, height, mirrored } = trace.passes[place].input;
  if (trace.passes.length === 1) return "";
  return `${place + 1} of ${trace.passes.length}, ${width} × ${height} px${mirrored ? ", mirrored" : ""}`;
}

/** What the merging made of a candidate that its look kept: moments, as in moments.js; none for one look alone. */
export function mergedMoments(trace, outcome, knobs, look, place) {
  const { merged } = outcome;
  const at = merged ? merged.given.findIndex((one) => one.look === look && one.place === place) : -1;
  if (at < 0) return [];
  const first = suppressing(trace, merged, knobs, at);
  return [SUPPRESSED, WEAKENED].includes(first.fate) ? [first] : [first, keeping(trace, outcome, at)];
}

function suppressing(trace, { given, fates, by, overlap, after }, { iou }, at) {
  const { box, label, look, score: before } = given[at];
  const name = trace.detector.classes[label];
  const other = by[at] < 0 ? null : given[by[at]];
  const facts = [["seen by look", nameOfLook(trace, look)]];
  const told = { step: "merge suppress", box, facts, fate: KEPT, by: null };
  if (fates[at] === SUPPRESSED) {
    const better = `A better ${name}, with ${score(other.score)}, of look ${other.look + 1} lies on it`;
    const text = `${better} with an IoU of ${apart(overlap[at], iou)}, more than ${plain(iou)}: only the better one stays.`;
    return { ...told, text, fate: SUPPRESSED, by: other.box };
  }
  if (fates[at] === WEAKENED) {
    const text = `Better boxes of all looks lie on it: they weakened it from ${score(before)} to ${score(after[at])}.`;
    return { ...told, text, fate: WEAKENED, by: other?.box ?? null };
  }
  const rivals = by.reduce((sum, one, place) => sum + (one === at && fates[place] === SUPPRESSED), 0);
  const drops = rivals ? `${many(rivals, "box", "boxes")} of all looks gave way to it` : "no other gives way to it";
  return { ...told, text: `Among the ${number(given.length)} boxes of all looks no better one lies on it: ${drops}.` };
}

function keeping(trace, { merged, detections }, at) {
  const { rule, votes } = trace.merge;
  const [rank, given] = [merged.kept.indexOf(at), merged.given[at]];
  const told = { step: "merge keep", box: given.box, facts: [], fate: merged.fates[at], by: null };
  const best = `The best ${number(rule.keep)} of all looks are kept`;
  if (told.fate === BEYOND_KEEP) return { ...told, text: `${best}, and it is not among them.` };
  if (!votes) return { ...told, text: `${best}. It is number ${number(rank + 1)}.` };
  const voters = votersOf(given, merged.given);
  const looks = new Set(voters.map(({ look }) => look)).size;
  const facts = [
    ["votes", number(voters.length)],
    ["of looks", `${looks} of ${trace.passes.length}`],
  ];
  const text =
    voters.length > 1
      ? `${many(voters.length, "box", "boxes")} agree on it, its own among them: it lies where they do in the mean, ` +
        `each as heavy as its score.`
      : "No other box agrees with it: it stays where it is.";
  return { ...told, text, facts, box: detections[rank].box };
}

/** How many boxes of all looks came into a step of the merging, and went on: {came, went}. */
export function mergeCounts({ given, kept, fates }, step) {
  const stayed = fates.reduce((sum, fate) => sum + [KEPT, BEYOND_KEEP].includes(fate), 0);
  return step === "merge suppress" ? { came: given.length, went: stayed } : { came: stayed, went: kept.length };
}

/** The boxes of all looks: solid where they stay, dashed where not, tied to who suppressed them. */
export function mergeLines({ given, fates, by }) {
  const places = [...given.keys()];
  const lost = places.filter((place) => fates[place] !== KEPT).slice(0, MOST_BOXES);
  const kept = places.filter((place) => fates[place] === KEPT).slice(0, MOST_BOXES);
  const lines = lost.reverse().flatMap((place) => {
    const { name, dash } = markOf(fates[place]);
    const own = outline(given[place].box, { kind: name, dash, width: 1.3 });
    const other = by[place] < 0 ? null : given[by[place]].box;
    return other ? [own, tie(given[place].box, other, { kind: name, dash: "1 4", width: 1 })] : [own];
  });
  return [...lines, ...kept.reverse().map((place) => outline(given[place].box, { kind: "kept", width: 3 }))];
}
