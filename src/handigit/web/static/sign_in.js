// Signing in, and on to where one wanted to go.

import { ask } from "./api.js";
import { byId } from "./dom.js";

const form = byId("sign-in");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("/v1/session", { json: Object.fromEntries(new FormData(form)) });
    location.assign(form.dataset.back);
  } catch (refusal) {
    byId("refusal").textContent = refusal.message;
    byId("refusal").hidden = false;
  }
});
