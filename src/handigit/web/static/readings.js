// The list of readings: thumbnails as they come into sight, choosing and deleting rows; to export is the form's work.

import { ask } from "./api.js";
import { boxOf, closeCut, pageOf } from "./crop.js";
import { attempt, byId, on, say } from "./dom.js";
import { several } from "./words.js";

const rows = () => [...document.querySelectorAll("input[name=number]")];
const chosen = () => rows().filter((row) => row.checked);

const sight = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((one) => one.isIntersecting)) {
    sight.unobserve(target);
    drawThumb(target);
  }
}, { rootMargin: "200px" });

async function drawThumb(place) {
  const page = await pageOf(place.dataset.picture);
  place.replaceChildren(page ? closeCut(page, boxOf(place.dataset.box)) : "–");
}

function showChosen() {
  const count = chosen().length;
  byId("chosen").textContent = count ? `${several(count, "reading")} chosen` : "Newest first";
  if (byId("delete")) byId("delete").disabled = !count;
}

const deleteChosen = () => attempt(async () => {
  const query = chosen().map((row) => `number=${row.value}`).join("&");
  const gone = await ask(`/v1/readings?${query}`, { method: "DELETE" });
  chosen().forEach((row) => row.closest("tr").remove());
  say(`${several(gone.readings, "reading")} and ${several(gone.pictures, "picture")} deleted.`);
  if (!rows().length) location.reload();
  showChosen();
});

document.querySelectorAll("[data-picture]").forEach((place) => sight.observe(place));
if (rows().length) showChosen();
on("change", "#listed", (_, { target }) => {
  if (target.id === "all") rows().forEach((row) => (row.checked = target.checked));
  showChosen();
});
on("click", "#delete", () => {
  byId("how-many").textContent = several(chosen().length, "reading");
  byId("confirm").returnValue = "";
  byId("confirm").showModal();
});
on("close", "#confirm", ({ returnValue }) => returnValue === "delete" && deleteChosen());

// An address without what was not asked, so that it reads well as a bookmark.
on("formdata", "#filters", (_, { formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
