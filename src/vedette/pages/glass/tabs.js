// Tabs: one panel at a time, by pointer and by arrow keys.

/** → {open(name)} */
export function showTabs(root) {
  const tabs = [...root.querySelectorAll("[role=tab]")];
  const open = (name) => {
    for (const tab of tabs) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      root.querySelector(`[data-panel=${tab.dataset.tab}]`).hidden = !chosen;
    }
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => open(tab.dataset.tab));
    tab.addEventListener("keydown", ({ key }) => {
      const other = tabs.at({ ArrowRight: (at + 1) % tabs.length, ArrowLeft: at - 1 }[key] ?? at);
      if (other === tab) return;
      other.click();
      other.focus();
    });
  });
  open(tabs[0].dataset.tab);
  return { open };
}
