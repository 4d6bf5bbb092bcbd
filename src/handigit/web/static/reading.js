// One reading: its place on the page, and saying what stands there.

import { ask, freshKey } from "./api.js";
import { boxOf, closeView, cut, pageOf, whole } from "./crop.js";
import { byId, say } from "./dom.js";

const { reading, picture, box } = byId("reading").dataset;
const form = byId("correct");
let key = freshKey();

async function drawPage() {
  const page = await pageOf(picture);
  byId("crop").replaceChildren(page ? cut(page, closeView(boxOf(box), page), "What is written") : "No picture of this was kept.");
  if (page) byId("page").replaceChildren(cut(page, whole(page), "The page, with the place marked", boxOf(box)));
}

/** Do it, and show the page anew. */
async function change(address, how) {
  try {
    await ask(address, { method: "POST", ...how });
    location.reload();
  } catch (refusal) {
    say(refusal.message);
  }
}

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
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = Object.fromEntries(new FormData(form)); // a disabled field is not in it
    change(`/v1/readings/${reading}/corrections`, { json, headers: { "Idempotency-Key": key } });
  });
}
for (const button of document.querySelectorAll("[data-undo]")) {
  button.addEventListener("click", () => change(`/v1/corrections/${button.dataset.undo}/undo`));
}
