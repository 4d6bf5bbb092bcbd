// Asking again and again while only the newest answer counts.
//
//   const latest = new Latest(ask, { onAnswer, onRefusal, pauseMs });   // ask(signal) promises an answer
//   latest.soon();   // within a pause, if nothing is under way then: while somebody draws
//   latest.now();    // at once; what is under way is aborted, and its answer never shown
//   latest.stop();   // no answer is wanted any longer

export class Latest {
  #flying = null;
  #timer = null;

  constructor(ask, { onAnswer, onRefusal, pauseMs = 100 }) {
    Object.assign(this, { ask, onAnswer, onRefusal, pauseMs });
  }

  soon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (this.#flying) this.soon();
      else this.now();
    }, this.pauseMs);
  }

  async now() {
    this.stop();
    const mine = (this.#flying = new AbortController());
    try {
      const answer = await this.ask(mine.signal);
      if (this.#flying === mine) this.onAnswer(answer);
    } catch (refusal) {
      if (this.#flying === mine) this.onRefusal(refusal);
    } finally {
      if (this.#flying === mine) this.#flying = null;
    }
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#flying?.abort();
    this.#flying = null;
  }
}
