// Shared by all pages: signing out.

import { request } from "./api.js";
import { on } from "./dom.js";

on("click", "#sign-out", async () => {
  await request("/v1/session", { method: "DELETE" });
  location.assign("/sign-in");
});
