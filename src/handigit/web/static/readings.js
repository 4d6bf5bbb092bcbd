// The list of readings: thumbnails as they come into sight, choosing rows, exporting and deleting them.

import { ask } from "./api.js";
import { boxOf, closeView, cut, pageOf } from "./crop.js";
import { byId, say } from "./dom.js";

const rows = () => [...document.querySelectorAll("input[name=number]")];
const chosen = () => rows().filter((row) => row.checked);
const several = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;
const query = () => chosen().map((row) => `number=${row.value}`).join("&");
const exports = document.querySelectorAll("a[download]");
exports.forEach((link) => (link.dataset.all = link.href));

const sight = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((one) => one.isIntersecting)) {
    sight.unobserve(target);
    drawThumb(target);
  }
}, { rootMargin: "200px" });

async function drawThumb(place) {
  const page = await pageOf(place.dataset.picture);
  place.replaceChildren(page ? cut(page, closeView(boxOf(place.dataset.box), page)) : "–");
}

/** What is exported and deleted follows from which rows are chosen; to export, none means all that the search found. */
function showChosen() {
  const count = chosen().length;
  byId("chosen").textContent = count ? `${several(count, "reading")} chosen` : "Newest first";
  for (const link of exports) link.href = count ? `/v1/readings/export?${query()}&format=${link.id}` : link.dataset.all;
  if (byId("delete")) byId("delete").disabled = !count;
}

async function deleteChosen() {
  try {
    const gone = await ask(`/v1/readings?${query()}`, { method: "DELETE" });
    chosen().forEach((row) => row.closest("tr").remove());
    say(`${several(gone.readings, "reading")} and ${several(gone.pictures, "picture")} deleted.`);
    if (!rows().length) location.reload();
    showChosen();
  } catch (refusal) {
    say(refusal.message);
  }
}

document.querySelectorAll("[data-picture]").forEach((place) => sight.observe(place));
if (rows().length) showChosen();
byId("listed")?.addEventListener("change", ({ target }) => {
  if (target.id === "all") rows().forEach((row) => (row.checked = target.checked));
  showChosen();
});
byId("delete")?.addEventListener("click", () => {
  byId("how-many").textContent = several(chosen().length, "reading");
  byId("confirm").returnValue = "";
  byId("confirm").showModal();
});
byId("confirm")?.addEventListener("close", ({ target }) => target.returnValue === "delete" && deleteChosen());

// An address without what was not asked, so that it reads well as a bookmark.
byId("filters")?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
