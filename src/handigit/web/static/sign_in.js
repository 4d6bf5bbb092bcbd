// The sign-in form.

import { post } from "./api.js";
import { byId, onSubmit, showError } from "./dom.js";

const form = byId("sign-in");
onSubmit(form, async () => {
  try {
    await post("/v1/session", { json: Object.fromEntries(new FormData(form)) });
    location.assign(form.dataset.back);
  } catch (error) {
    showError(byId("error"), error);
  }
});
