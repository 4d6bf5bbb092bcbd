// A request that repeats while its input changes; only the newest response counts.
//
//   const latest = new LatestRequest(send, { onAnswer, onError, pauseMs });   // send(signal) returns a promise
//   latest.soon();   // within `pauseMs`, once the running request has finished
//   latest.now();    // at once; a running request is aborted and its response dropped
//   latest.stop();

export class LatestRequest {
  #running = null;
  #timer = null;

  constructor(send, { onAnswer, onError, pauseMs = 100 }) {
    Object.assign(this, { send, onAnswer, onError, pauseMs });
  }

  soon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (this.#running) this.soon();
      else this.now();
    }, this.pauseMs);
  }

  async now() {
    this.stop();
    const controller = (this.#running = new AbortController());
    try {
      const answer = await this.send(controller.signal);
      if (this.#running === controller) this.onAnswer(answer);
    } catch (error) {
      if (this.#running === controller) this.onError(error);
    } finally {
      if (this.#running === controller) this.#running = null;
    }
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#running?.abort();
    this.#running = null;
  }
}
