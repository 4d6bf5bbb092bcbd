// The list of readings: lazy thumbnails, selection and deletion. The form itself exports.

import { request } from "./api.js";
import { cropOf, loadPage, parseBox } from "./crop.js";
import { attempt, byId, on, toast } from "./dom.js";
import { plural } from "./wording.js";

const rows = () => [...document.querySelectorAll("input[name=number]")];
const selected = () => rows().filter((row) => row.checked);
const order = byId("selection")?.textContent;

const observer = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    observer.unobserve(target);
    drawThumb(target);
  }
}, { rootMargin: "200px" });

async function drawThumb(link) {
  const page = await loadPage(link.dataset.picture);
  link.replaceChildren(page ? cropOf(page, parseBox(link.dataset.box)) : "–");
}

function showSelection() {
  const count = selected().length;
  byId("selection").textContent = count ? `${plural(count, "reading")} selected` : order;
  if (byId("delete")) byId("delete").disabled = !count;
}

const deleteSelected = () => attempt(async () => {
  const query = selected().map((row) => `number=${row.value}`).join("&");
  const deleted = await request(`/v1/readings?${query}`, { method: "DELETE" });
  selected().forEach((row) => row.closest("tr").remove());
  toast(`${plural(deleted.readings, "reading")} and ${plural(deleted.pictures, "picture")} deleted.`);
  if (!rows().length) location.reload();
  showSelection();
});

document.querySelectorAll("[data-picture]").forEach((link) => observer.observe(link));
on("change", "#listed", (_, { target }) => {
  if (target.id === "all") rows().forEach((row) => (row.checked = target.checked));
  showSelection();
});
on("click", "#delete", () => {
  byId("how-many").textContent = plural(selected().length, "reading");
  byId("confirm").returnValue = "";
  byId("confirm").showModal();
});
if (rows().length) {
  byId("all").disabled = false;
  showSelection();
}
on("close", "#confirm", ({ returnValue }) => returnValue === "delete" && deleteSelected());

// Leave empty fields out of the address, so that it reads well as a bookmark.
on("formdata", "#filters", (_, { formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
