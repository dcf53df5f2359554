// What became of a candidate: the trace's codes ("fates"), the steps that they are lost in, and how they are drawn.

export const KEPT = 0;
export const EASY = 1;
export const SMALL = 2;
export const UNDER_FLOOR = 3;
export const BEYOND_COUNT = 4;
export const SUPPRESSED = 5;
export const WEAKENED = 6;
export const BEYOND_KEEP = 7;
export const OUTSIDE = 8;
export const NO_ANCHOR = 9;
export const NOT_PROPOSED = 10;
export const MISPLACED = 11;

export const STEPS = ["refine", "floor", "pick", "decode", "suppress", "keep", "frame"];

/** Of each code from KEPT to OUTSIDE, which of STEPS loses it; as many as there are where it is kept. */
export const LOST_IN = [7, 0, 3, 1, 2, 4, 4, 5, 6];

/** A line's dashes, a sign and a class of CSS for each fate: nobody needs colours to tell them apart. */
const MARKS = {
  [KEPT]: { dash: "", sign: "✓", name: "kept" },
  [EASY]: { dash: "9 3 1.5 3", sign: "○", name: "easy" },
  [SMALL]: { dash: "3 3", sign: "▫", name: "small" },
  [UNDER_FLOOR]: { dash: "1.5 4", sign: "▽", name: "under" },
  [BEYOND_COUNT]: { dash: "13 5", sign: "…", name: "beyond" },
  [SUPPRESSED]: { dash: "7 4", sign: "✕", name: "suppressed" },
  [WEAKENED]: { dash: "7 4", sign: "✕", name: "suppressed" },
  [BEYOND_KEEP]: { dash: "13 5", sign: "…", name: "beyond" },
  [OUTSIDE]: { dash: "3 3", sign: "▫", name: "small" },
};

export function markOf(fate) {
  return MARKS[fate] ?? { dash: "1.5 4", sign: "✕", name: "suppressed" };
}
