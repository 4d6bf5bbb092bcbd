// Accounts and API tokens.

import { post, request } from "./api.js";
import { byId, copyText, on, onSubmit, showError } from "./dom.js";

let target = "";

/** Run an action of a form; an error is shown in the form. */
async function run(form, action) {
  try {
    await action();
  } catch (error) {
    showError(form.querySelector(".error"), error);
  }
}

const fieldsOf = (form) => Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));

for (const id of ["add-account", "add-token"]) {
  const form = byId(id);
  onSubmit(form, () => run(form, async () => {
    const { days, ...fields } = fieldsOf(form);
    const { secret } = await post(form.dataset.address, { json: { ...fields, ...(days && { days: Number(days) }) } });
    if (!secret) return location.reload();
    byId("secret").hidden = false;
    byId("secret").querySelector("code").textContent = secret;
    form.reset();
  }));
}

/** A dialog whose confirming button runs `action`; it closes only if that succeeds. */
function confirming(id, action) {
  const form = byId(id).querySelector("form");
  onSubmit(form, ({ value }) => {
    if (value === "cancel") return byId(id).close();
    return run(form, async () => {
      await action(form);
      location.reload();
    });
  });
}

confirming("password", (form) => request(`/v1/accounts/${encodeURIComponent(target)}/password`, { method: "PUT", json: fieldsOf(form) }));
confirming("remove", () => request(target, { method: "DELETE" }));

function open(id, label, address) {
  target = address;
  byId(id).querySelector("h2 span").textContent = label;
  showError(byId(id).querySelector(".error"), null);
  byId(id).showModal();
}

on("click", "[data-password]", ({ dataset }) => open("password", dataset.password, dataset.password));
on("click", "[data-remove]", ({ dataset }) => open("remove", dataset.what, dataset.remove));
on("click", "#copy-secret", () => copyText(byId("secret").querySelector("code").textContent));
