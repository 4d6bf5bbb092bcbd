// Forms: fields over a blank, and a template tried on scans.

import { request } from "../api.js";
import { BoxFrame } from "./box_frame.js";
import { Boxes } from "../boxes.js";
import { attemptIn, byId, make, on, onSubmit, toast } from "../dom.js";
import { asTemplate, cellsOf, columnNames } from "./field_table.js";
import { plural } from "../wording.js";

const view = new Boxes(byId("blank-view"), select);
const [form, tableForm] = [byId("field"), byId("table")];
let own = null; // { file, template, size, fields, tables }: the user's blank
let selected = null; // a field or a table
let frame = null;

const scale = () => view.image.naturalWidth / own.size[0];
const toPixels = (box) => box.map((side) => side * scale());
const toUnits = (box) => box.map((side) => Math.round((side / scale()) * 100) / 100);
const item = ({ name, kind, box }) => ({ key: name, box: toPixels(box), text: name.split(".").at(-1), outcome: "read", name: `${name}: ${kind}` });
const isTaken = (name, except) => [...own.fields, ...own.tables].some((one) => one !== except && one.name === name);

async function openBlank(file) {
  byId("form").value = "";
  byId("print").hidden = true;
  const result = await request(`/forms/proposals?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  own = { file, tables: [], ...result };
  byId("editor").hidden = false;
  leave();
  await view.show(result.image, () => own.fields.map(item));
  toast(`${plural(own.fields.length, "field")} found.`);
  byId("trial").hidden = false;
}

/** The field, or the table with the cell, of this name. */
function select(name) {
  const table = own.tables.find((one) => cellsOf(one).some((cell) => cell.name === name));
  edit(table ?? own.fields.find((field) => field.name === name));
  view.select(name);
}

/** Show the frame and the form of a field or a table. */
function edit(chosen) {
  leave();
  selected = chosen;
  const ownForm = chosen.names ? tableForm : form;
  ownForm.hidden = false;
  ownForm.elements.name.value = chosen.name;
  ownForm.elements.kind.value = chosen.kind;
  if (chosen.names) [tableForm.elements.columns.value, tableForm.elements.rows.value] = [chosen.names.join(", "), chosen.rows];
  const onChange = (box) => {
    remove(chosen);
    chosen.box = toUnits(box);
    show(chosen);
  };
  frame = new BoxFrame(view.overlay, view.image, { box: toPixels(chosen.box), label: chosen.name, onChange, onLeave: () => ownForm.elements.name.focus() });
  ownForm.elements.name.focus();
}

function leave() {
  frame?.remove();
  frame = selected = null;
  form.hidden = tableForm.hidden = true;
}

const shownOf = (one) => (one.names ? cellsOf(one) : [one]);
const remove = (one) => shownOf(one).forEach(({ name }) => view.remove(name));
function show(one) {
  for (const field of shownOf(one)) {
    view.update(item(field));
    frame?.layer.before(view.overlay.lastChild); // the frame stays above the boxes, and keeps the focus
  }
}

/** Let the user draw a box for a new field or table. */
async function add(button, create) {
  const isOn = button.getAttribute("aria-pressed") === "true";
  view.cancelSelection();
  if (isOn) return;
  leave();
  button.setAttribute("aria-pressed", true);
  const area = await view.selectArea();
  button.setAttribute("aria-pressed", false);
  if (!area) return;
  const added = create(toUnits(area));
  show(added);
  edit(added);
}

/** A name that is not taken, such as field_3. */
function freeName(stem, number) {
  while (isTaken(`${stem}_${number}`)) number += 1;
  return `${stem}_${number}`;
}

function newField(box) {
  const field = { name: freeName("field", own.fields.length + 1), kind: "number", box };
  own.fields.push(field);
  return field;
}

function newTable(box) {
  const table = { name: freeName("table", own.tables.length + 1), kind: "number", box, rows: 3, names: ["a", "b"] };
  own.tables.push(table);
  return table;
}

function apply(action, changes) {
  if (action === "save" && isTaken(changes.name, selected)) return toast(`There is already a ${changes.name}.`);
  remove(selected);
  if (action === "delete") [own.fields, own.tables] = [own.fields, own.tables].map((all) => all.filter((one) => one !== selected));
  else show(Object.assign(selected, changes));
  leave();
}

function applyTable(action) {
  const { name, kind, columns, rows } = tableForm.elements;
  const names = columnNames(columns.value);
  if (action === "save" && new Set(names).size < names.length) return toast("Two columns have the same name.");
  apply(action, { name: name.value, kind: kind.value, names, rows: Number(rows.value) });
}

async function currentTemplate() {
  const fields = own.fields.map(({ name, kind, box }) => ({ name, kind, box }));
  const json = { template: own.template, fields, tables: own.tables.map(asTemplate) };
  const { template } = await request("/forms/template", { method: "POST", json });
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

function useReadyMade({ value }) {
  own = null;
  byId("editor").hidden = true;
  byId("print").hidden = !value;
  byId("print").setAttribute("href", `/v1/forms/${value}/form.pdf`);
  byId("trial").hidden = !value;
}

on("change", "#form", useReadyMade);
useReadyMade(byId("form")); // it may have been chosen before this script ran
on("click", "#choose-blank", () => byId("blank").click());
on("click", "#add-field", (button) => add(button, newField));
on("click", "#add-table", (button) => add(button, newTable));
on("click", ".move", () => frame.focus());
on("click", "#download", () => attemptIn(byId("form-error"), download));
on("change", "#blank", (input) => attemptIn(byId("form-error"), () => openBlank(input.files[0])));
on("click", "#save", () => attemptIn(byId("form-error"), save));
onSubmit(byId("try"), () => attemptIn(byId("trial-error"), tryOn));
onSubmit(form, ({ value }) => apply(value, { name: form.elements.name.value, kind: form.elements.kind.value }));
onSubmit(tableForm, ({ value }) => applyTable(value));
