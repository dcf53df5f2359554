// What a pane shows now, and who draws it anew when that changes.

/** {now, change(patch), whenChanged(draw)}: draw(now, changed names) is called at once and after every change. */
export function makeStore(first) {
  const store = { now: first };
  const draws = [];
  store.change = (patch) => {
    const changed = new Set(Object.keys(patch).filter((name) => patch[name] !== store.now[name]));
    if (!changed.size) return;
    store.now = { ...store.now, ...patch };
    for (const draw of draws) draw(store.now, changed);
  };
  store.whenChanged = (draw) => {
    draws.push(draw);
    draw(store.now, new Set(Object.keys(store.now)));
  };
  return store;
}
