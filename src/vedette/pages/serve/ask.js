// One picture to the service, and what it answers. Everything above the lowest score comes, so that the slider moves at once.

/** Resolves to the service's JSON; rejects with an Error whose message is the service's own line. */
export async function detect(picture, { model, key, least }) {
  const answer = await post("detect", picture, { model, score: least }, key);
  return answer.json().catch(() => fail(answer));
}

/** Resolves to the page of the glass box as text; rejects as above. */
export async function explain(picture, { model, key, score }) {
  return (await post("explain", picture, { model, score }, key)).text();
}

async function post(path, picture, query, key) {
  const headers = key ? { "X-API-Key": key } : {};
  let answer;
  try {
    answer = await fetch(`${path}?${new URLSearchParams(query)}`, { method: "POST", body: picture, headers });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (!answer.ok) fail(answer, await answer.json().catch(() => null));
  return answer;
}

function fail(answer, said = null) {
  throw new Error(said?.error ?? `The service answered ${answer.status}.`);
}
