// Which pairs of row and class may ever be among the best that are picked, whatever θ is.

/**
 * pairs: row × C + class; empty(pair): how sure the first step is that nothing is there. Fewest rivals has a pair at the
 * least θ that lets it in: those on rows that are as empty as its own, or less.
 */
export function everPicked(pairs, { classes, rule, scores }, empty) {
  const { of, count, levels } = rule.pick;
  const ends = (levels ?? []).map((_, level) => levels.slice(0, level + 1).reduce((sum, own) => sum + own, 0));
  const groupOf = {
    image: () => 0,
    class: (pair) => pair % classes,
    level: (pair) => ends.findIndex((end) => pair < end * classes),
  }[of];
  const order = [...pairs].sort((one, other) => empty(one) - empty(other) || scores[other] - scores[one] || one - other);
  const best = new Map(); // the highest scores of each group so far, falling
  return order.filter((pair) => {
    const group = groupOf(pair);
    if (!best.has(group)) best.set(group, []);
    return enters(best.get(group), scores[pair], count ?? pairs.length);
  });
}

/** Whether a score is among the `count` highest so far; it is remembered then. */
function enters(falling, score, count) {
  if (falling.length >= count && score < falling.at(-1)) return false;
  let [low, high] = [0, falling.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (falling[middle] >= score) low = middle + 1;
    else high = middle;
  }
  falling.splice(low, 0, score);
  if (falling.length > count) falling.pop();
  return true;
}
