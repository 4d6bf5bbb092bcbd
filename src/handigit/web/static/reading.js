// One reading: its place on the page, and saying what stands there.

import { freshKey, post } from "./api.js";
import { boxOf, closeCut, cut, pageOf, whole } from "./crop.js";
import { attempt, byId, on, onSubmit } from "./dom.js";

const { reading, picture, box } = byId("reading").dataset;
const form = byId("correct");
let key = freshKey();

async function drawPage() {
  const page = await pageOf(picture);
  byId("crop").replaceChildren(closeCut(page, boxOf(box), "What is written"));
  if (page) byId("page").replaceChildren(cut(page, whole(page), "The page, with the place marked", boxOf(box)));
}

/** Do it, and show the page anew. */
const change = (address, how) => attempt(async () => {
  await post(address, how);
  location.reload();
});

function showDigits() {
  const { text, outcome } = form.elements;
  text.disabled = outcome.value !== "read";
  text.required = !text.disabled;
  byId("digits-there").hidden = text.disabled;
}

drawPage();
if (form) {
  showDigits();
  form.addEventListener("change", showDigits);
  form.addEventListener("input", () => (key = freshKey()));
  onSubmit(form, () => {
    const json = Object.fromEntries(new FormData(form)); // a disabled field is not in it
    change(`/v1/readings/${reading}/corrections`, { json, key });
  });
}
on("click", "[data-undo]", ({ dataset }) => change(`/v1/corrections/${dataset.undo}/undo`));
