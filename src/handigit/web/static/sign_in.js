// The sign-in form, and the form for the first account of a server.

import { post } from "./api.js";
import { byId, onSubmit, showError } from "./dom.js";

/** Submit a form, then go back to where the user wanted to go; an error is shown in the form. */
function handle(form, action) {
  if (!form) return;
  onSubmit(form, async () => {
    try {
      await action(Object.fromEntries(new FormData(form)));
      location.assign(form.dataset.back);
    } catch (error) {
      showError(form.querySelector(".error"), error);
    }
  });
}

handle(byId("sign-in"), (fields) => post("/v1/session", { json: fields }));
handle(byId("first-account"), async ({ token, name, password }) => {
  const headers = { Authorization: `Bearer ${token}` };
  await post("/v1/accounts", { json: { name, password, role: "admin" }, headers });
  await post("/v1/session", { json: { name, password } });
});
