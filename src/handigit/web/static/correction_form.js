// The small form that corrects one reading, and undo.

import { freshKey, post } from "./api.js";
import { attempt, make, onSubmit, showError, toast } from "./dom.js";
import { keypadFor, percent, withSeparators, written } from "./wording.js";

const MAX_SUGGESTIONS = 3;

export class CorrectionForm {
  /** `onChange(reading)` after its truth changes, `onRemove(reading)` to remove it, `onClose(reading)` after closing. */
  constructor(form, { onChange, onClose, onRemove }) {
    Object.assign(this, { form, onChange, onClose, onRemove });
    [this.input, this.error, this.suggestions] = ["input", ".error", ".suggestions"].map((part) => form.querySelector(part));
    form.remove();
    form.hidden = false;
    onSubmit(form, ({ value }) => {
      if (value === "cancel") this.close();
      else if (value === "remove") this.#run((reading) => this.onRemove(reading));
      else this.#save(value ? { outcome: value } : { text: this.input.value.trim() });
    });
    form.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the picture has its own keys
      if (event.key === "Escape") this.close();
    });
  }

  /** Open the form for a reading; `place(form)` inserts it into the page. */
  open(reading, place) {
    this.reading = reading;
    showError(this.error, null);
    this.input.value = written(reading);
    this.input.inputMode = keypadFor(reading.raw);
    const alternatives = reading.alternatives.slice(0, MAX_SUGGESTIONS);
    this.suggestions.replaceChildren(...alternatives.map((alternative) => this.#suggestion(alternative, reading.raw)));
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
      toast("Undone.");
      this.onChange(reading);
    });
  }

  #suggestion([digits, confidence], raw) {
    const text = withSeparators(digits, raw);
    return make("button.button", { type: "button", onclick: () => this.#save({ text }) }, make("b.figures", {}, text), ` ${percent(confidence)}`);
  }

  #save(json) {
    return this.#run(async (reading) => {
      const { id, truth } = await post(`/v1/readings/${reading.id}/corrections`, { json, key: freshKey() });
      Object.assign(reading, { truth, correction: id });
      toast("Saved.");
      this.onChange(reading);
    });
  }

  /** Run an action on the reading, then close; an error keeps the form open. */
  async #run(action) {
    try {
      await action(this.reading);
      this.close();
    } catch (error) {
      showError(this.error, error);
    }
  }
}
