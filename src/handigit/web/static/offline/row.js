// The row below the pad: keeping the page on this device, and drawings that wait there.

import { attempt, byId, on } from "../dom.js";
import { plural } from "../wording.js";
import { sendAll, waiting } from "./outbox.js";
import { makeAvailable, refresh } from "./setup.js";

const status = byId("offline-status");
const isKept = () => localStorage.getItem("handigit-offline") !== null;

async function show() {
  const drawings = await waiting();
  const { problem } = drawings.find((drawing) => drawing.problem) ?? {};
  byId("make-offline").hidden = isKept();
  status.textContent = [
    isKept() && "This page also works without a network.",
    drawings.length && `${plural(drawings.length, "drawing")} will be sent when the network is back.`,
    problem && `The server refused one: ${problem}`,
  ].filter(Boolean).join(" ");
  byId("offline-row").hidden = false;
}

on("click", "#make-offline", (button) => attempt(async () => {
  button.disabled = true;
  const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
  try {
    await makeAvailable((done, total) => (status.textContent = `${megabytes(done)} of ${megabytes(total)} MB`));
  } finally {
    button.disabled = false;
    await show();
  }
}));

async function catchUp() {
  if ((await waiting()).length) await sendAll();
  if (isKept()) await refresh().catch(() => {}); // without a network it stays as it is
  await show();
}

addEventListener("online", catchUp);
addEventListener("handigit-kept", show);
catchUp();
