// Forms: fields over a blank, and a template tried on scans.

import { request, send } from "./api.js";
import { Boxes } from "./boxes.js";
import { byId, make, makeSvg, on, onSubmit, rectOf, showError, toast } from "./dom.js";
import { outcomeWord, percent, plural } from "./wording.js";

const view = new Boxes(byId("blank-view"), select);
const form = byId("field");
let own = null; // { file, template, size, fields }: the user's blank
let selected = null;

/** Run an action; an error is shown in `place`. */
async function attempt(place, action) {
  showError(place, null);
  try {
    await action();
  } catch (error) {
    showError(place, error);
  }
}

const scale = () => view.image.naturalWidth / own.size[0];
const toPixels = (box) => box.map((side) => side * scale());
const item = ({ name, kind, box }) => ({ key: name, box: toPixels(box), text: name, outcome: "read", name: `${name}: ${kind}` });

function showTrial() {
  byId("trial").hidden = !own && !byId("form").value;
  byId("records").replaceChildren();
}

async function openBlank(file) {
  byId("form").value = "";
  byId("print").hidden = true;
  const result = await request(`/forms/proposals?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  own = { file, ...result };
  byId("editor").hidden = false;
  form.hidden = true;
  await view.show(result.image, () => own.fields.map(item));
  toast(`${plural(own.fields.length, "field")} found.`);
  showTrial();
}

function select(name) {
  selected = own.fields.find((field) => field.name === name);
  view.select(name);
  form.hidden = false;
  form.elements.name.value = selected.name;
  form.elements.kind.value = selected.kind;
  form.elements.name.focus();
}

async function addField() {
  const button = byId("add-field");
  const isOn = button.getAttribute("aria-pressed") === "true";
  view.cancelSelection();
  if (isOn) return;
  button.setAttribute("aria-pressed", true);
  const area = await view.selectArea();
  button.setAttribute("aria-pressed", false);
  if (!area) return;
  let number = own.fields.length + 1;
  while (own.fields.some(({ name }) => name === `field_${number}`)) number += 1;
  const field = { name: `field_${number}`, kind: "number", box: area.map((side) => Math.round((side / scale()) * 100) / 100) };
  own.fields.push(field);
  view.update(item(field));
  select(field.name);
}

function applyField(action) {
  const name = form.elements.name.value;
  if (action === "save" && own.fields.some((field) => field !== selected && field.name === name)) return toast(`There is already a field ${name}.`);
  view.remove(selected.name);
  if (action === "delete") own.fields = own.fields.filter((field) => field !== selected);
  else {
    Object.assign(selected, { name, kind: form.elements.kind.value });
    view.update(item(selected));
  }
  form.hidden = true;
}

async function currentTemplate() {
  const fields = own.fields.map(({ name, kind, box }) => ({ name, kind, box }));
  const { template } = await request("/forms/template", { method: "POST", json: { template: own.template, fields } });
  return template;
}

async function download() {
  const address = URL.createObjectURL(new Blob([await currentTemplate()]));
  make("a", { href: address, download: `${own.file.name.replace(/\.\w+$/, "")}.toml` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function tryOn(scans) {
  byId("trial-status").textContent = `Reading ${plural(scans.length, "scan")} ...`;
  const body = new FormData();
  if (own) {
    body.append("file", new File([await currentTemplate()], "template.toml"));
    body.append("file", own.file);
  }
  for (const scan of scans) body.append("file", scan, own && scan.name === own.file.name ? `scan-${scan.name}` : scan.name);
  const response = await send(`/forms/try?template=${encodeURIComponent(own ? "" : byId("form").value)}`, { method: "POST", body });
  const { records } = await response.json();
  byId("trial-status").textContent = `${plural(records.length, "record")}`;
  byId("records").replaceChildren(...records.map(recordCard));
}

function recordCard({ source, outcome, fields, problems, image }) {
  const list = Array.isArray(fields) ? fields : Object.values(fields);
  const rows = list.map(({ name, raw, text, outcome: state, confidence }) => make("tr", {},
    make("th", { scope: "row" }, name), make("td.figures", {}, raw || text || "–"),
    make("td", {}, make(`span.outcome.${state}`, {}, outcomeWord(state))), make("td.number", {}, percent(confidence))));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...["Field", "Value", "Outcome", "Confidence"].map((label) => make("th", { scope: "col" }, label)))), make("tbody", {}, ...rows));
  const notes = problems.map((problem) => make("li", {}, problem));
  return make("section.sunk.stack", {}, make("h3", {}, `${source}: ${outcome}`),
    notes.length ? make("ul.hint", {}, ...notes) : "", make("div.columns", {}, make("div.scroll", { tabindex: 0, role: "region", "aria-label": `Values of ${source}` }, table), picture(image, list)));
}

/** The scan with its fields outlined. */
function picture(image, fields) {
  const photo = make("img", { src: image, alt: "The scan with its fields" });
  const overlay = makeSvg("svg", { "aria-hidden": "true" });
  photo.decode().then(() => {
    overlay.setAttribute("viewBox", `0 0 ${photo.naturalWidth} ${photo.naturalHeight}`);
    overlay.append(...fields.filter(({ box }) => box).map(({ box, outcome }) => makeSvg(`g.box.${outcome}`, {}, makeSvg("rect.edge", rectOf(box)))));
  });
  return make("div.sheet", {}, photo, overlay);
}

on("change", "#form", ({ value }) => {
  own = null;
  byId("editor").hidden = true;
  byId("print").hidden = !value;
  byId("print").setAttribute("href", `/forms/print/${encodeURIComponent(value)}.pdf`);
  showTrial();
});
on("click", "#choose-blank", () => byId("blank").click());
on("click", "#choose-scan", () => byId("scan").click());
on("click", "#add-field", addField);
on("click", "#download", () => attempt(byId("form-error"), download));
on("change", "#blank", (input) => attempt(byId("form-error"), () => openBlank(input.files[0])));
on("change", "#scan", (input) => attempt(byId("trial-error"), () => tryOn([...input.files])));
onSubmit(form, ({ value }) => applyField(value));
