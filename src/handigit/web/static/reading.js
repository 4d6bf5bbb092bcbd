// The page of one reading: its crop, its place on the page, correction and undo.

import { freshKey, post } from "./api.js";
import { crop, cropOf, loadPage, parseBox, wholePage } from "./crop.js";
import { attempt, byId, on, onSubmit } from "./dom.js";

const { reading, picture, box } = byId("reading").dataset;
const form = byId("correct");
let key = freshKey();

async function drawPage() {
  const page = await loadPage(picture);
  byId("crop").replaceChildren(cropOf(page, parseBox(box), "The handwriting"));
  if (page) byId("page").replaceChildren(crop(page, wholePage(page), "The page, with the number outlined", parseBox(box)));
}

/** Post, then reload the page. */
const change = (address, options) => attempt(async () => {
  await post(address, options);
  location.reload();
});

function updateField() {
  const { text, outcome } = form.elements;
  text.disabled = outcome.value !== "read";
  text.required = !text.disabled;
  byId("digits-label").hidden = text.disabled;
}

drawPage();
if (form) {
  updateField();
  form.addEventListener("change", updateField);
  form.addEventListener("input", () => (key = freshKey()));
  onSubmit(form, () => {
    const json = Object.fromEntries(new FormData(form)); // without disabled fields
    change(`/v1/readings/${reading}/corrections`, { json, key });
  });
}
on("click", "[data-undo]", ({ dataset }) => change(`/v1/corrections/${dataset.undo}/undo`));
