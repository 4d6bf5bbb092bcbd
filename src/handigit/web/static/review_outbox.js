// Decisions waiting to be sent: one at a time, retried until stored, kept in sessionStorage meanwhile.

import { post } from "./api.js";

const STORAGE_KEY = "handigit-decisions";
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8000;

export class Outbox {
  /** `onRejected(error)`: the server refused a decision; `onRetry(count)`: decisions waiting, 0 once they are sent. */
  constructor({ onRejected, onRetry }) {
    Object.assign(this, { onRejected, onRetry, resolvers: new Map(), sending: false });
    this.unsent = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "[]");
    this.#send();
  }

  /** Send `{lease, reading, text, outcome, key}`; resolves to the stored correction, or to null if rejected. */
  put(decision) {
    const stored = new Promise((resolve) => this.resolvers.set(decision.key, resolve));
    this.#persist([...this.unsent, decision]);
    this.#send();
    return stored;
  }

  async #send() {
    if (this.sending) return;
    this.sending = true;
    while (this.unsent.length) {
      const [first] = this.unsent;
      const correction = await this.#deliver(first);
      this.#persist(this.unsent.slice(1));
      this.resolvers.get(first.key)?.(correction);
    }
    this.sending = false;
  }

  async #deliver({ lease, key, ...decision }) {
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, MAX_RETRY_MS)) {
      try {
        const correction = await post(`/v1/review/lease/${lease}/decide`, { json: decision, key, keepalive: true });
        this.onRetry(0);
        return correction;
      } catch (error) {
        if (!isTemporary(error.status)) return this.onRejected(error) ?? null;
        this.onRetry(this.unsent.length);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  #persist(unsent) {
    this.unsent = unsent;
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(unsent));
  }
}

// Unreachable, session expired, too many requests, server errors.
const isTemporary = (status) => [0, 401, 429].includes(status) || status >= 500;
