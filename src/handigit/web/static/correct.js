// A small form in which somebody says what stands there, and the way back.

import { freshKey, post } from "./api.js";
import { attempt, onSubmit, say, showRefusal } from "./dom.js";

export class Corrector {
  /** `onChange(reading)`: its truth is another now; `onClose(reading)`: the form has gone. */
  constructor(form, { onChange, onClose }) {
    Object.assign(this, { form, onChange, onClose });
    [this.input, this.refusal] = [form.querySelector("input"), form.querySelector(".refusal")];
    form.remove();
    form.hidden = false;
    onSubmit(form, ({ value }) => {
      if (value === "cancel") this.close();
      else this.#decide(value ? { outcome: value } : { text: this.input.value });
    });
    form.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the picture has keys of its own
      if (event.key === "Escape") this.close();
    });
  }

  /** Ask about a reading; `place(form)` puts the form where it belongs. */
  open(reading, place) {
    this.reading = reading;
    showRefusal(this.refusal, null);
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

  undo(reading) {
    return attempt(async () => {
      await post(`/v1/corrections/${reading.correction}/undo`);
      reading.truth = reading.correction = null;
      say("Taken back.");
      this.onChange(reading);
    });
  }

  async #decide(said) {
    const reading = this.reading;
    try {
      const { id, truth } = await post(`/v1/readings/${reading.id}/corrections`, { json: said, key: freshKey() });
      Object.assign(reading, { truth, correction: id });
      say("Noted.");
      this.onChange(reading);
      this.close();
    } catch (refusal) {
      showRefusal(this.refusal, refusal);
    }
  }
}
