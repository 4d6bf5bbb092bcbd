// Decisions on their way to the server: one after the other, each until it has landed, and kept by the tab meanwhile.

import { post } from "./api.js";

const KEPT = "handigit-decisions";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

export class Outbox {
  /** `onLost` hears of a decision that the server does not take, `onWait` how many wait for a server that is away. */
  constructor({ onLost, onWait }) {
    Object.assign(this, { onLost, onWait, answered: new Map(), sending: false });
    this.unsent = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    this.#send();
  }

  /** Send `{lease, reading, text, outcome, key}`; the correction once it is on the server's disk, null where refused. */
  put(decision) {
    const answer = new Promise((resolve) => this.answered.set(decision.key, resolve));
    this.#keep([...this.unsent, decision]);
    this.#send();
    return answer;
  }

  async #send() {
    if (this.sending) return;
    this.sending = true;
    while (this.unsent.length) {
      const [first] = this.unsent;
      const correction = await this.#land(first);
      this.#keep(this.unsent.slice(1));
      this.answered.get(first.key)?.(correction);
    }
    this.sending = false;
  }

  async #land({ lease, key, ...decision }) {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      try {
        const said = await post(`/v1/review/lease/${lease}/decide`, { json: decision, key, keepalive: true });
        this.onWait(0);
        return said;
      } catch (refusal) {
        if (!passes(refusal.status)) return this.onLost(refusal) ?? null;
        this.onWait(this.unsent.length);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  #keep(unsent) {
    this.unsent = unsent;
    sessionStorage.setItem(KEPT, JSON.stringify(unsent));
  }
}

// No answer, not signed in any longer, too many requests, the server's own failures.
const passes = (status) => [0, 401, 429].includes(status) || status >= 500;
