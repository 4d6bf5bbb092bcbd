// Switching models: what will happen is said first, a refusal's reason is shown.

import { post } from "./api.js";
import { byId, on, showRefusal } from "./dom.js";

on("click", "[data-opens]", ({ dataset }) => {
  const dialog = byId(dataset.opens);
  showRefusal(dialog.querySelector(".refusal"), null);
  dialog.showModal();
});

on("click", "[data-asks]", async (button) => {
  const { asks, name, sha256 } = button.dataset;
  button.disabled = true;
  try {
    await post(asks, { json: name && { name, sha256 } });
    location.reload();
  } catch (refusal) {
    showRefusal(button.form.querySelector(".refusal"), refusal);
  } finally {
    button.disabled = false;
  }
});
