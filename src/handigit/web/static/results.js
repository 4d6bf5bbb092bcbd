// Results of uploaded files: each page with its boxes, the list of numbers beside it, and corrections.

import { request } from "./api.js";
import { Boxes } from "./boxes.js";
import { CorrectionForm } from "./correction_form.js";
import { byId, make } from "./dom.js";
import { outcomeWord, percent } from "./wording.js";

const BROWSER_FORMATS = ["image/png", "image/jpeg", "image/webp", "image/bmp"];
const mayCorrect = document.body.dataset.mayCorrect === "true";

export class Results {
  readings = [];
  #pages = new Map();
  #rows = new Map();
  #shown = null;

  constructor() {
    this.view = new Boxes(byId("view"), (key) => this.#pick(this.readings[key], "picture"));
    this.correction = new CorrectionForm(byId("correct"), { onChange: (reading) => this.#changed(reading), onClose: (reading) => this.#returnFocus(reading) });
  }

  /** Add a reading of a page of a file. */
  add(reading, file) {
    const page = this.#page(file, reading.page);
    Object.assign(reading, { key: this.readings.length, truth: null });
    this.readings.push(reading);
    page.readings.push(reading);
    const row = make("li");
    this.#rows.set(reading.key, row);
    page.list.append(row);
    this.#changed(reading);
    if (!this.#shown) this.#show(page);
  }

  clear() {
    this.correction.close();
    this.readings = [];
    for (const { file } of this.#pages.values()) if (file.address) URL.revokeObjectURL(file.address);
    this.#pages.clear();
    this.#rows.clear();
    this.#shown = null;
    byId("list").replaceChildren();
    byId("view").hidden = true;
  }

  #page(file, number) {
    const key = `${file.number}.${number}`;
    if (!this.#pages.has(key)) {
      const title = BROWSER_FORMATS.includes(file.type) ? file.name : `${file.name}, page ${number + 1}`;
      const page = { key, file, number, title, readings: [], list: make("ol") };
      byId("list").append(make("h3", {}, make("button.quiet", { onclick: () => this.#show(page) }, title)), page.list);
      this.#pages.set(key, page);
    }
    return this.#pages.get(key);
  }

  async #show(page) {
    if (this.#shown === page) return;
    this.#shown = page;
    const address = await this.#address(page).catch(() => null);
    if (this.#shown !== page) return;
    byId("view").hidden = !address;
    if (!address) return;
    await this.view.show(address, () => page.readings.map(boxed)).catch(() => (byId("view").hidden = this.#shown === page));
    this.view.image.alt = page.title;
  }

  /** The file itself where browsers can show it, else the page as the server stored it. */
  async #address({ file, readings: [{ id }] }) {
    if (BROWSER_FORMATS.includes(file.type)) return (file.address ??= URL.createObjectURL(file.content));
    const { picture } = id ? await request(`/v1/readings/${id}`) : {};
    return picture ? `/v1/pictures/${picture}` : null;
  }

  #pageOf(reading) {
    return [...this.#pages.values()].find(({ readings }) => readings.includes(reading));
  }

  #changed(reading) {
    const { text, outcome } = reading.truth ?? reading;
    const row = make(
      "button.reading",
      { onclick: () => this.#pick(reading, "list") },
      make("b.figures", {}, text || "–"),
      make(`span.outcome.${outcome}`, {}, reading.truth ? "corrected" : outcomeWord(outcome)),
      make("span.hint.figures", {}, reading.truth ? "" : percent(reading.confidence)),
    );
    const undo = reading.truth && make("button.quiet", { onclick: () => this.correction.undo(reading) }, "Undo");
    this.#rows.get(reading.key).replaceChildren(row, undo ?? "");
    if (this.#shown?.readings.includes(reading)) this.view.update(boxed(reading));
  }

  /** Select a reading; users who may correct it get the form where they clicked. */
  async #pick(reading, from) {
    await this.#show(this.#pageOf(reading));
    for (const [key, row] of this.#rows) row.classList.toggle("selected", key === reading.key);
    this.view.select(reading.key);
    if (!mayCorrect || !reading.id) return;
    this.isOnPicture = from === "picture" && this.view.has(reading.key);
    this.correction.open(reading, (form) => {
      form.removeAttribute("style");
      if (this.isOnPicture) this.view.attach(form, reading.key);
      else this.#rows.get(reading.key).append(form);
    });
  }

  #returnFocus({ key }) {
    if (this.isOnPicture) this.view.select(key, { focus: true });
    else this.#rows.get(key)?.firstChild.focus();
  }
}

function boxed({ key, box, confidence, truth, ...read }) {
  const { text, outcome } = truth ?? read;
  const sure = truth ? "corrected" : `${outcomeWord(outcome)}, ${percent(confidence)} sure`;
  return { key, box, text, outcome, name: `${text || "Not a number"}: ${sure}` };
}
