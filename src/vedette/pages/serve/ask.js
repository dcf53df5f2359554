// One picture to the service, and what it answers. Everything above the lowest score comes, so that the slider moves at once.

/** Resolves to the service's JSON; rejects with an Error whose message is the service's own line. */
export async function detect(picture, { model, key, least }) {
  const query = new URLSearchParams({ model, score: least });
  const headers = key ? { "X-API-Key": key } : {};
  let answer;
  try {
    answer = await fetch(`detect?${query}`, { method: "POST", body: picture, headers });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  const said = await answer.json().catch(() => ({ error: `The service answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}
