// The page of one picture: its data, shown.

import { unpack } from "./decode.js";
import { showViews } from "./views.js";

async function begin() {
  const data = await unpack(document.getElementById("data").textContent);
  showViews(data, document.querySelector("[data-part=picture]").src);
  document.documentElement.dataset.ready = "";
}

begin();
