// How much the page shows at once, and what it says of that.

export const MOST_LISTED = 30; // of what was found: a longer list hides what else is told
export const MOST_NEAR = 4; // of what was nearly found
export const MOST_TAGS = 40; // names on the picture
export const MOST_BOXES = 60; // of a kind on the picture: more hide it
export const MOST_MOVED = 20; // boxes with the way that they moved
export const MOST_BARRED = 10; // boxes that the first step left out
export const MOST_CENTRES = 2500; // dots of a grid
export const MOST_ANSWERS = 3; // classes that a click is told of

/** Sentences on what a page with these views keeps back. */
export function keptBack(views) {
  const sentences = [
    `the list names the best ${MOST_LISTED} of what is found, the picture the best ${MOST_TAGS}; of what was nearly ` +
      `found there are ${MOST_NEAR}`,
    `a step draws the best ${MOST_BOXES} boxes that go on and the best ${MOST_BOXES} that do not, a first move ` +
      `${MOST_MOVED} and ${MOST_BARRED}; of a grid with more than ${MOST_CENTRES} cells not every centre is drawn; ` +
      `numbers beside the picture count all`,
    `a click is answered for the ${MOST_ANSWERS} likeliest classes there; a box that is drawn is answered in full`,
    "of a heat map the highest anchor of each cell; of Soft-NMS the better box that overlaps most",
  ];
  if (views.some(({ trace }) => trace.passes.length > 1)) {
    sentences.push("of several looks the figure tells the first; steps, grid, heat maps and answers to a click are those of the look that is chosen");
  }
  if (views.some(({ taught }) => taught)) {
    sentences.push(
      `of what learns an object, of the background and of what is left out, ${MOST_BOXES} boxes of each head; the ` +
        `background’s are those of the highest loss`,
    );
  }
  return sentences;
}
