// Names on the picture that would hide one another stand one above the other.

const FURTHEST = 4; // heights of a name: further off nobody knows whose it is

/** Moves each name that lies on one before it up or down to the nearest free place; where there is none it stays. */
export function spread(tags, stage) {
  if (tags.length < 2) return;
  const { top, bottom } = stage.getBoundingClientRect();
  const taken = [];
  for (const tag of tags) {
    const own = tag.getBoundingClientRect();
    const shift = freeShift(own, taken, { top, bottom });
    if (shift) tag.style.marginTop = `${shift}px`;
    taken.push(moved(own, shift));
  }
}

/** How far down (or up, below 0) a name has to go to lie on none of those taken, and within the top and bottom. */
export function freeShift(own, taken, { top, bottom }) {
  const height = own.bottom - own.top;
  const meets = (place) => taken.filter((other) => doMeet(place, other));
  const shifts = taken.flatMap((other) => [other.bottom - own.top, other.top - own.bottom]);
  const fits = [0, ...shifts]
    .sort((one, other) => Math.abs(one) - Math.abs(other))
    .filter((shift) => !meets(moved(own, shift)).length && Math.abs(shift) <= FURTHEST * height);
  return fits.find((shift) => own.top + shift >= top && own.bottom + shift <= bottom) ?? 0;
}

function doMeet(one, other) {
  const slack = 0.5; // pixels: neighbours share a border
  const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return across > slack && down > slack;
}

function moved({ left, right, top, bottom }, shift) {
  return { left, right, top: top + shift, bottom: bottom + shift };
}
