// Switching models, after a confirmation.

import { post } from "./api.js";
import { byId, on, showError } from "./dom.js";

on("click", "[data-opens]", ({ dataset }) => {
  const dialog = byId(dataset.opens);
  showError(dialog.querySelector(".error"), null);
  dialog.showModal();
});

on("click", "[data-post]", async (button) => {
  const { post: address, name, sha256 } = button.dataset;
  button.disabled = true;
  try {
    await post(address, { json: name && { name, sha256 } });
    location.reload();
  } catch (error) {
    showError(button.form.querySelector(".error"), error);
  } finally {
    button.disabled = false;
  }
});
