// What lies on a reviewer's desk: the items they hold, the one they look at, and what they have decided.

import { freshKey, post } from "./api.js";
import { pageOf } from "./crop.js";

const MOST_HELD = 6;

export class Desk {
  constructor(outbox) {
    Object.assign(this, { outbox, held: [], at: 0, done: [], taking: null });
  }

  get item() {
    return this.held[this.at];
  }

  /** The item to look at; what was skipped comes again when nothing else waits. Undefined at the end. */
  async open() {
    if (!this.item) await this.#take();
    if (!this.item) this.at = 0;
    return this.item;
  }

  /** Hold one item more than is looked at, with its picture, so that it is there at once. */
  async prepare() {
    if (this.held.length - this.at < 2 && this.held.length < MOST_HELD) await this.#take();
  }

  /** The item after this one, or before it; it goes round. */
  async move(by) {
    if (by > 0) await this.prepare();
    this.at = (this.at + by + this.held.length) % this.held.length;
  }

  /** Say what stands there; the item is off the desk at once, and `landed` follows when the server has it. */
  decide(truth) {
    const [item] = this.held.splice(this.at, 1);
    const decision = { lease: item.id, reading: item.reading.id, ...truth, key: freshKey() };
    const made = { item, ...truth, landed: this.outbox.put(decision) };
    made.landed.then(() => (made.isLanded = true));
    this.done.push(made);
    return made;
  }

  /** Take the last decision back and hold its item again; false where another reviewer has it by now. */
  async undo() {
    const last = this.done.at(-1);
    const correction = await last.landed;
    if (!correction) return false;
    const again = await post(`/v1/review/lease/${last.item.id}/renew`).catch(unless(409));
    await post(`/v1/corrections/${correction.id}/undo`);
    this.forget(last);
    if (again) this.held.splice(this.at, 0, preloaded(again));
    return Boolean(again);
  }

  /** A decision that does not count. */
  forget(made) {
    this.done = this.done.filter((one) => one !== made);
  }

  /** Give everything back, also while the page goes away. */
  leave() {
    for (const { id } of this.held.splice(0)) fetch(`/v1/review/lease/${id}/release`, { method: "POST", keepalive: true });
  }

  async #take() {
    this.taking ??= post("/v1/review/lease").finally(() => (this.taking = null)).then((item) => item && this.#lay(item));
    await this.taking;
  }

  /** Below all others; of what was held for too long, what is on its way to the server goes back, other is held anew. */
  #lay(item) {
    const same = ({ reading }) => reading.id === item.reading.id;
    if (this.done.some((one) => !one.isLanded && same(one.item))) return post(`/v1/review/lease/${item.id}/release`);
    const known = this.held.find(same);
    if (known) known.id = item.id;
    else this.held.push(preloaded(item));
  }
}

const preloaded = (item) => ({ ...item, page: pageOf(item.reading.picture) });

/** Nothing instead of a refusal of that status. */
const unless = (status) => (refusal) => {
  if (refusal.status !== status) throw refusal;
};
