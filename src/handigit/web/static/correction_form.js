// The small form that corrects one reading, and undo.

import { freshKey, post } from "./api.js";
import { attempt, onSubmit, showError, toast } from "./dom.js";

export class CorrectionForm {
  /** `onChange(reading)` is called after its truth changes, `onClose(reading)` when the form closes. */
  constructor(form, { onChange, onClose }) {
    Object.assign(this, { form, onChange, onClose });
    [this.input, this.error] = [form.querySelector("input"), form.querySelector(".error")];
    form.remove();
    form.hidden = false;
    onSubmit(form, ({ value }) => {
      if (value === "cancel") this.close();
      else this.#save(value ? { outcome: value } : { text: this.input.value });
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
      toast("Undone.");
      this.onChange(reading);
    });
  }

  async #save(correction) {
    const reading = this.reading;
    try {
      const { id, truth } = await post(`/v1/readings/${reading.id}/corrections`, { json: correction, key: freshKey() });
      Object.assign(reading, { truth, correction: id });
      toast("Saved.");
      this.onChange(reading);
      this.close();
    } catch (error) {
      showError(this.error, error);
    }
  }
}
