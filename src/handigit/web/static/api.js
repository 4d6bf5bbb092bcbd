// Talking to the API. A refusal becomes a Refusal whose message is what a person should read.

class Refusal extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `the server answered ${status}`);
    this.status = status;
  }
}

/** A key that makes sending twice harmless; `crypto.randomUUID` is missing where the address is not https. */
export const freshKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** Ask; the answer's JSON, null where it has none. `options` as for fetch; `json` is sent as JSON, once for each `key`. */
export async function ask(address, options) {
  const answer = await send(address, options);
  return answer.status === 204 ? null : answer.json();
}

/** The same with POST, also where nothing is sent. */
export const post = (address, options) => ask(address, { method: "POST", ...options });

/** Ask for lines of JSON; `onLine` gets each as it comes. */
export async function askLines(address, { onLine, ...options }) {
  const answer = await send(address, { ...options, headers: { Accept: "application/jsonl" } });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    lines.filter(Boolean).forEach((line) => onLine(JSON.parse(line)));
    if (done) return;
  }
}

/** Ask; the answer as fetch has it. */
export async function send(address, { json, key, ...options } = {}) {
  const request = { credentials: "same-origin", ...options };
  if (json !== undefined) {
    request.body = JSON.stringify(json);
    request.headers = { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) };
  }
  let answer;
  try {
    answer = await fetch(address, request);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refusal({ detail: "The server does not answer; is it still running? Nothing is lost, try again." }, 0);
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && location.pathname !== "/sign-in") location.assign(`/sign-in?back=${encodeURIComponent(location.pathname + location.search)}`);
  throw new Refusal(await answer.json().catch(() => ({})), answer.status);
}
