// A small form in which somebody says what stands there, and the way back.

import { ask, freshKey } from "./api.js";
import { say } from "./dom.js";

export class Corrector {
  /** `onChange(reading)`: its truth is another now; `onClose(reading)`: the form has gone. */
  constructor(form, { onChange, onClose }) {
    Object.assign(this, { form, onChange, onClose });
    [this.input, this.refusal] = [form.querySelector("input"), form.querySelector(".refusal")];
    form.remove();
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter.value === "cancel") this.close();
      else this.#decide(event.submitter.value ? { outcome: event.submitter.value } : { text: this.input.value });
    });
    form.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the picture has keys of its own
      if (event.key === "Escape") this.close();
    });
  }

  /** Ask about a reading; `place(form)` puts the form where it belongs. */
  open(reading, place) {
    this.reading = reading;
    this.refusal.hidden = true;
    this.input.value = (reading.truth ?? reading).text;
    place(this.form);
    this.input.focus({ preventScroll: true });
    this.input.select();
    this.form.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  close() {
    this.form.remove();
    if (this.reading) this.onClose(this.reading);
    this.reading = null;
  }

  async undo(reading) {
    try {
      await ask(`/v1/corrections/${reading.correction}/undo`, { method: "POST" });
      reading.truth = reading.correction = null;
      say("Taken back.");
      this.onChange(reading);
    } catch (refusal) {
      say(refusal.message);
    }
  }

  async #decide(said) {
    const reading = this.reading;
    try {
      const headers = { "Idempotency-Key": freshKey() };
      const { id, truth } = await ask(`/v1/readings/${reading.id}/corrections`, { json: said, headers });
      Object.assign(reading, { truth, correction: id });
      say("Noted.");
      this.onChange(reading);
      this.close();
    } catch (refusal) {
      this.refusal.textContent = refusal.message;
      this.refusal.hidden = false;
    }
  }
}
