// Signing in, and on to where one wanted to go.

import { post } from "./api.js";
import { byId, onSubmit, showRefusal } from "./dom.js";

const form = byId("sign-in");
onSubmit(form, async () => {
  try {
    await post("/v1/session", { json: Object.fromEntries(new FormData(form)) });
    location.assign(form.dataset.back);
  } catch (refusal) {
    showRefusal(byId("refusal"), refusal);
  }
});
