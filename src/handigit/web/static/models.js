// Switching models: what will happen is said first, a refusal's reason is shown.

import { ask, Refusal } from "./api.js";
import { byId } from "./dom.js";

const HAPPENS =
  "First it must read a picture of a 7 right; if it does not, nothing changes. Then it reads everything that comes from now on. " +
  "Requests under way end with the model they began with, and what was read before stays as it is.";

let request;

function offer(title, says, then) {
  byId("sure-title").textContent = title;
  byId("sure-says").textContent = says;
  byId("refusal").hidden = true;
  request = then;
  byId("sure").showModal();
}

async function carryOut() {
  const button = byId("do-it");
  button.disabled = true;
  try {
    await ask(...request);
    location.reload();
  } catch (problem) {
    if (!(problem instanceof Refusal)) throw problem;
    byId("refusal").textContent = problem.message;
    byId("refusal").hidden = false;
  } finally {
    button.disabled = false;
  }
}

for (const button of document.querySelectorAll("[data-switch]")) {
  const { switch: name, sha256 } = button.dataset;
  button.addEventListener("click", () => offer(`Read with ${name}?`, HAPPENS, ["/v1/models/switch", { json: { name, sha256 } }]));
}
byId("roll-back")?.addEventListener("click", () =>
  offer("Back to the model before?", "The model that was in use before this one reads everything that comes from now on. Nothing that was read changes.", ["/v1/models/rollback", { method: "POST" }]),
);
byId("do-it").addEventListener("click", carryOut);
