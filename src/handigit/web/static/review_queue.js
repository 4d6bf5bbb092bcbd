// The reviewer's queue: items leased from the server, the current one, and the decisions made.

import { freshKey, post } from "./api.js";
import { loadPage } from "./crop.js";

const MAX_LEASED = 6;

export class ReviewQueue {
  constructor(outbox) {
    Object.assign(this, { outbox, leased: [], index: 0, decisions: [], leasing: null });
  }

  get item() {
    return this.leased[this.index];
  }

  /** The current item; skipped items come again when no new ones are left. Undefined when all are done. */
  async open() {
    if (!this.item) await this.#lease();
    if (!this.item) this.index = 0;
    return this.item;
  }

  /** Lease the next item and preload its picture. */
  async prefetch() {
    if (this.leased.length - this.index < 2 && this.leased.length < MAX_LEASED) await this.#lease();
  }

  /** Move to the next or previous item, cyclically. */
  async move(by) {
    if (by > 0) await this.prefetch();
    this.index = (this.index + by + this.leased.length) % this.leased.length;
  }

  /** Decide the current item. It leaves the queue at once; `stored` resolves when the server has the decision. */
  decide(truth) {
    const [item] = this.leased.splice(this.index, 1);
    const stored = this.outbox.put({ lease: item.id, reading: item.reading.id, ...truth, key: freshKey() });
    const decision = { item, ...truth, stored };
    stored.then(() => (decision.isStored = true));
    this.decisions.push(decision);
    return decision;
  }

  /** Undo the last decision and lease its item again; false where another reviewer has it by now. */
  async undo() {
    const last = this.decisions.at(-1);
    const correction = await last.stored;
    if (!correction) return false;
    const renewed = await post(`/v1/review/lease/${last.item.id}/renew`).catch(nullIf(409));
    await post(`/v1/corrections/${correction.id}/undo`);
    this.forget(last);
    if (renewed) this.leased.splice(this.index, 0, withPage(renewed));
    return Boolean(renewed);
  }

  /** Drop a decision that was rejected or undone. */
  forget(decision) {
    this.decisions = this.decisions.filter((other) => other !== decision);
  }

  /** Release all leases; works while the page is being closed. */
  releaseAll() {
    for (const { id } of this.leased.splice(0)) fetch(`/v1/review/lease/${id}/release`, { method: "POST", keepalive: true });
  }

  async #lease() {
    this.leasing ??= post("/v1/review/lease").finally(() => (this.leasing = null)).then((item) => item && this.#add(item));
    await this.leasing;
  }

  /** The server may lease an expired item again: release it while its decision is being sent, else update its lease. */
  #add(item) {
    const isSame = ({ reading }) => reading.id === item.reading.id;
    if (this.decisions.some((decision) => !decision.isStored && isSame(decision.item))) return post(`/v1/review/lease/${item.id}/release`);
    const known = this.leased.find(isSame);
    if (known) known.id = item.id;
    else this.leased.push(withPage(item));
  }
}

/** The item with its picture. Reviewers see the reader's answer, never a person's: not even their own before an undo. */
const withPage = ({ reading, ...item }) => ({ ...item, reading: { ...reading, truth: null }, page: loadPage(reading.picture) });

/** Null instead of an error with that status. */
const nullIf = (status) => (error) => {
  if (error.status !== status) throw error;
  return null;
};
