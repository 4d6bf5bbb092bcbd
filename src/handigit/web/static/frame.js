// What every page does: signing out.

import { ask } from "./api.js";
import { on } from "./dom.js";

on("click", "#sign-out", async () => {
  await ask("/v1/session", { method: "DELETE" });
  location.assign("/sign-in");
});
