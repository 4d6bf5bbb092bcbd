// What every page does: signing out.

import { ask } from "./api.js";

document.getElementById("sign-out")?.addEventListener("click", async () => {
  await ask("/v1/session", { method: "DELETE" });
  location.assign("/sign-in");
});
