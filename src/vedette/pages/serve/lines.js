// The lines that give the same from a program.

/** what: {model, score, classes (names that are shown, null for all), withKey}. */
export function curl(what) {
  const key = what.withKey ? ' -H "X-API-Key: $VEDETTE_API_KEY"' : "";
  return `curl --data-binary @photo.jpg${key} "${address(what)}"`;
}

export function python(what) {
  const key = what.withKey ? ', "X-API-Key": os.environ["VEDETTE_API_KEY"]' : "";
  return [
    ...(what.withKey ? ["import os"] : []),
    "import json",
    "from pathlib import Path",
    "from urllib.request import Request, urlopen",
    "",
    `headers = {"Content-Type": "image/jpeg"${key}}`,
    `request = Request(${JSON.stringify(address(what))}, Path("photo.jpg").read_bytes(), headers)`,
    "with urlopen(request) as answer:",
    '    for found in json.load(answer)["detections"]:',
    '        print(found["name"], found["score"], found["box"])',
  ].join("\n");
}

function address({ model, score, classes }) {
  const query = new URLSearchParams({ model, score: score.toFixed(2) });
  if (classes) query.set("classes", classes.join(","));
  return new URL(`detect?${query}`, document.baseURI).href;
}
