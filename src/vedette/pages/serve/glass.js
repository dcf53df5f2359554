// The glass box in a tab of its own. Its scripts are the page's own, inline, so the service's policy keeps that tab apart
// from this page: it has another origin, and reads neither the key nor the service.

/** Opens the tab, then shows the page that `asked()` resolves to there. Called in a click, or the browser opens none. */
export async function showGlass(asked) {
  const tab = open("page/glass.html");
  if (!tab) throw new Error("The browser opens no tab for this page: allow pop-ups here.");
  try {
    const [port, page] = await Promise.all([portOf(tab), asked()]);
    port.postMessage(page); // which nothing but the document that made it can hear, wherever the tab went since
  } catch (error) {
    tab.close();
    throw error;
  }
}

function portOf(tab) {
  return new Promise((resolve) => {
    addEventListener("message", function hear(told) {
      if (told.source !== tab) return;
      removeEventListener("message", hear);
      resolve(told.ports[0]);
    });
  });
}
