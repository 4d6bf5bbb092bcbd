// Keeping a drawing: on the server, or on this device until the server can be reached.

import { freshKey } from "../api.js";
import { withoutNetwork } from "./network.js";
import { put, send } from "./outbox.js";

/** Store {kind, picture, correction}; resolves to a sentence about it. */
export async function keepDrawing(fields) {
  const drawing = { key: freshKey(), ...fields };
  const reading = await withoutNetwork(() => send(drawing), async () => {
    await put(drawing);
    dispatchEvent(new Event("handigit-kept"));
  });
  if (!reading) return "Kept on this device. It is sent when the network is back.";
  return drawing.correction ? "Saved. Thank you, it can train the next model." : `Kept as reading ${reading.id}.`;
}
