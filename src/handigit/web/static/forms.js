// Forms: fields over a blank, and a template tried on scans.

import { request } from "./api.js";
import { Boxes } from "./boxes.js";
import { attemptIn, byId, make, on, onSubmit, toast } from "./dom.js";
import { plural } from "./wording.js";

const view = new Boxes(byId("blank-view"), select);
const form = byId("field");
let own = null; // { file, template, size, fields }: the user's blank
let selected = null;

const scale = () => view.image.naturalWidth / own.size[0];
const toPixels = (box) => box.map((side) => side * scale());
const item = ({ name, kind, box }) => ({ key: name, box: toPixels(box), text: name, outcome: "read", name: `${name}: ${kind}` });

async function openBlank(file) {
  byId("form").value = "";
  byId("print").hidden = true;
  const result = await request(`/forms/proposals?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  own = { file, ...result };
  byId("editor").hidden = false;
  form.hidden = true;
  await view.show(result.image, () => own.fields.map(item));
  toast(`${plural(own.fields.length, "field")} found.`);
  byId("trial").hidden = false;
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

async function save() {
  const body = new FormData();
  body.append("file", new File([await currentTemplate()], "form.toml"));
  body.append("file", own.file);
  const { name, version } = await request(`/v1/forms/${own.name}?raise_version=true`, { method: "PUT", body });
  toast(`Saved as ${name}, version ${version}.`);
  byId("read-pile").setAttribute("href", `/forms/batches?template=${name}`);
  byId("read-pile").hidden = false;
}

/** Send the scans, with the user's own template and blank, to a page of their own. */
async function tryOn() {
  const files = new DataTransfer();
  if (own) files.items.add(new File([await currentTemplate()], "template.toml"));
  byId("template-file").files = files.files;
  for (const id of ["blank", "template-file"]) byId(id).disabled = !own;
  byId("try").action = `/forms/try?template=${own ? "" : byId("form").value}`;
  byId("try").submit();
  byId("blank").disabled = false;
}

on("change", "#form", ({ value }) => {
  own = null;
  byId("editor").hidden = true;
  byId("print").hidden = !value;
  byId("print").setAttribute("href", `/v1/forms/${value}/form.pdf`);
  byId("trial").hidden = !value;
});
on("click", "#choose-blank", () => byId("blank").click());
on("click", "#add-field", addField);
on("click", "#download", () => attemptIn(byId("form-error"), download));
on("change", "#blank", (input) => attemptIn(byId("form-error"), () => openBlank(input.files[0])));
on("click", "#save", () => attemptIn(byId("form-error"), save));
onSubmit(byId("try"), () => attemptIn(byId("trial-error"), tryOn));
onSubmit(form, ({ value }) => applyField(value));
