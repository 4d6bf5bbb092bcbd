// The HTTP API. An error response becomes an ApiError whose message is written for people.

const UNREACHABLE = "Can't reach the server. Is it still running? Nothing was lost; try again.";

class ApiError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `the server answered ${status}`);
    this.status = status;
  }
}

/** An idempotency key; `crypto.randomUUID` is missing on plain http. */
export const freshKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** The response's JSON, null where it has none. `options` as for fetch; `json` is the body, `key` its idempotency key. */
export async function request(address, options) {
  const response = await send(address, options);
  return response.status === 204 ? null : response.json();
}

/** `request` with POST, also without a body. */
export const post = (address, options) => request(address, { method: "POST", ...options });

/** Request JSON lines; `onLine` gets each as it arrives. */
export async function requestLines(address, { onLine, ...options }) {
  const response = await send(address, { ...options, headers: { Accept: "application/jsonl" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    lines.filter(Boolean).forEach((line) => onLine(JSON.parse(line)));
    if (done) return;
  }
}

/** The response as fetch returns it; rejects with an ApiError unless it is ok. */
export async function send(address, { json, key, ...options } = {}) {
  const init = { credentials: "same-origin", ...options };
  if (key) init.headers = { ...init.headers, "Idempotency-Key": key };
  if (json !== undefined) {
    init.body = JSON.stringify(json);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(address, init);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ApiError({ detail: UNREACHABLE }, 0);
  }
  if (response.ok) return response;
  const back = encodeURIComponent(location.pathname + location.search);
  if (response.status === 401 && location.pathname !== "/sign-in") location.assign(`/sign-in?back=${back}`);
  throw new ApiError(await response.json().catch(() => ({})), response.status);
}
