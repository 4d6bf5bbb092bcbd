// Results of uploaded files: each page with its boxes, the list of numbers beside it, and corrections.

import { post, request } from "./api.js";
import { Boxes } from "./boxes.js";
import { CorrectionForm } from "./correction_form.js";
import { cropOf, decode } from "./crop.js";
import { attempt, byId, make, on, toast } from "./dom.js";
import { cutOut, turned } from "./picture_edit.js";
import { restoreResults, saveResults } from "./results_storage.js";
import { outcomeWord, percent, written } from "./wording.js";

const BROWSER_FORMATS = ["image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif"];
const mayCorrect = document.body.dataset.mayCorrect === "true";
const mayDelete = document.body.dataset.maySwitch === "true";

export class Results {
  readings = [];
  #pages = new Map();
  #rows = new Map();
  #shown = null;
  #nextKey = 0;

  /** `onReadAgain(file)`: the user has rotated or cropped a picture. */
  constructor({ onReadAgain, onChange }) {
    Object.assign(this, { onReadAgain, onChange });
    this.view = new Boxes(byId("view"), (key) => this.#pick(this.#reading(key), "picture"));
    this.correction = new CorrectionForm(byId("correct"), {
      onChange: (reading) => this.#changed(reading),
      onClose: (reading) => this.#returnFocus(reading),
      onRemove: (reading) => this.#remove(reading),
    });
    on("click", "#read-area", (button) => this.#select(button, (box) => this.#readArea(box)));
    on("click", "#crop-page", (button) => this.#select(button, (box) => this.#readAgain(cutOut(this.view.image, box))));
    on("click", "#rotate", () => this.#readAgain(turned(this.view.image)));
  }

  /** Add a reading of a page of a file. */
  add(reading, file) {
    this.#addTo(this.#page(file, reading.page), reading);
    this.#save();
  }

  /** Show the picture of a file without numbers, so that it can be rotated, cropped or read by area. */
  addEmptyPage(file) {
    if (BROWSER_FORMATS.includes(file.type)) this.#show(this.#page(file, 0));
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
    this.#save();
  }

  /** Results of this tab before a reload; false without any. */
  restore() {
    const pages = restoreResults();
    for (const { name, type, number, readings } of pages) {
      const page = this.#page({ name, type, number: `restored-${this.#pages.size}` }, number);
      for (const reading of readings) this.#addTo(page, reading);
    }
    return pages.length > 0;
  }

  #addTo(page, reading) {
    Object.assign(reading, { key: this.#nextKey++, truth: reading.truth ?? null });
    this.readings.push(reading);
    page.readings.push(reading);
    const row = make("li");
    this.#rows.set(reading.key, row);
    page.list.append(row);
    this.#changed(reading);
    if (!this.#shown) this.#show(page);
    this.#drawThumb(page, reading);
  }

  #save() {
    saveResults([...this.#pages.values()]);
    this.onChange();
  }

  #reading = (key) => this.readings.find((reading) => reading.key === key);

  #page(file, number) {
    const key = `${file.number}.${number}`;
    if (!this.#pages.has(key)) {
      const title = BROWSER_FORMATS.includes(file.type) ? file.name : `${file.name}, page ${number + 1}`;
      const section = make("section");
      const page = { key, file, number, title, section, readings: [], list: make("ol"), picture: null };
      section.append(make("h3", {}, make("button.quiet", { onclick: () => this.#show(page) }, title)), page.list);
      byId("list").append(section);
      this.#pages.set(key, page);
    }
    return this.#pages.get(key);
  }

  async #show(page) {
    if (this.#shown === page) return;
    this.#shown = page;
    this.view.cancelSelection();
    const picture = await this.#picture(page);
    if (this.#shown !== page) return;
    byId("view").hidden = !picture;
    if (!picture) return;
    await this.view.show(picture.address, () => page.readings.map(boxed)).catch(() => (byId("view").hidden = this.#shown === page));
    this.view.image.alt = page.title;
  }

  /** The decoded picture: the file itself where browsers can show it, else the page as the server stored it. */
  #picture(page) {
    page.picture ??= this.#address(page).then((address) => address && decode(address)).catch(() => null);
    return page.picture;
  }

  async #address({ file, readings }) {
    if (file.content && BROWSER_FORMATS.includes(file.type)) return (file.address ??= URL.createObjectURL(file.content));
    const stored = readings.find(({ id, isAdded }) => id && !isAdded);
    const { picture } = stored ? await request(`/v1/readings/${stored.id}`) : {};
    return picture ? `/v1/pictures/${picture}` : null;
  }

  async #drawThumb(page, { key, box }) {
    const picture = box && (await this.#picture(page));
    const place = this.#rows.get(key)?.querySelector(".thumb");
    if (picture && place) place.replaceChildren(cropOf(picture, box));
  }

  #pageOf(reading) {
    return [...this.#pages.values()].find(({ readings }) => readings.includes(reading));
  }

  #changed(reading) {
    const { outcome } = reading.truth ?? reading;
    const thumb = this.#rows.get(reading.key).querySelector(".thumb") ?? make("span.thumb", { "aria-hidden": "true" });
    const row = make(
      "button.reading",
      { onclick: () => this.#pick(reading, "list") },
      thumb,
      make("b.figures", {}, written(reading) || "–"),
      make(`span.outcome.${outcome}`, {}, reading.truth ? "corrected" : outcomeWord(outcome)),
      make("span.hint.figures", {}, reading.truth ? "" : percent(reading.confidence)),
    );
    const undo = reading.truth && make("button.quiet", { onclick: () => this.correction.undo(reading) }, "Undo");
    this.#rows.get(reading.key).replaceChildren(row, undo ?? "");
    if (this.#shown?.readings.includes(reading)) this.view.update(boxed(reading));
    this.#save();
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

  /** Remove a box that is not a number: an admin deletes the reading, others mark it as not a number. */
  async #remove(reading) {
    if (mayDelete) await request(`/v1/readings?number=${reading.id}`, { method: "DELETE" });
    else await post(`/v1/readings/${reading.id}/corrections`, { json: { outcome: "not_a_number" } });
    this.#drop(reading);
    this.#save();
    toast("Removed.");
  }

  #drop(reading) {
    const page = this.#pageOf(reading);
    this.readings = this.readings.filter((other) => other !== reading);
    page.readings = page.readings.filter((other) => other !== reading);
    this.#rows.get(reading.key).remove();
    this.#rows.delete(reading.key);
    if (this.#shown === page) this.view.remove(reading.key);
  }

  /** Let the user drag a box; a second click on the button cancels. */
  async #select(button, act) {
    const isOn = button.getAttribute("aria-pressed") === "true";
    this.view.cancelSelection();
    if (isOn) return;
    button.setAttribute("aria-pressed", true);
    byId("area-help").hidden = false;
    const box = await this.view.selectArea();
    button.setAttribute("aria-pressed", false);
    byId("area-help").hidden = true;
    if (box) await attempt(() => act(box));
  }

  /** Read one number in a box of the shown page; its boxes are moved to their place on the page. */
  async #readArea(area) {
    const page = this.#shown;
    const query = new URLSearchParams({ name: page.file.name.slice(0, 200) });
    const { readings } = await post(`/v1/number?${query}`, { body: await cutOut(this.view.image, area) });
    const [left, top] = area;
    for (const reading of readings) {
      const box = reading.box ? reading.box.map((side, index) => side + (index % 2 ? top : left)) : area;
      const added = { ...reading, box, page: page.number, isAdded: true };
      this.#addTo(page, added);
      this.#pick(added, "list");
    }
    this.#save();
  }

  /** Replace the shown page by another picture of it; what is stored of it is deleted once that has been read. */
  async #readAgain(content) {
    const page = this.#shown;
    const { name } = page.file;
    const blob = await content;
    const ids = page.readings.map(({ id }) => id).filter(Boolean);
    this.correction.close();
    for (const reading of page.readings) this.#drop(reading);
    page.section.remove();
    this.#pages.delete(page.key);
    this.#shown = null;
    const rest = this.readings.length;
    await this.onReadAgain(new File([blob], name, { type: blob.type }));
    if (!mayDelete || !ids.length || this.readings.length === rest) return;
    await request(`/v1/readings?${ids.map((id) => `number=${id}`).join("&")}`, { method: "DELETE" });
  }
}

function boxed({ key, box, confidence, ...reading }) {
  const { outcome } = reading.truth ?? reading;
  const text = written(reading);
  const state = reading.truth ? "corrected" : `${outcomeWord(outcome)}, ${percent(confidence)} sure`;
  return { key, box, text, outcome, name: `${text || "Not a number"}: ${state}` };
}
