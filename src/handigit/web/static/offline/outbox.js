// Drawings that wait on this device until the server has them, each stored once.
//
// A drawing's key is the idempotency key of its requests: one may have arrived although its response did not.

import { post } from "../api.js";

const STORE = "drawings";

/** Keep {key, kind, picture, correction}. */
export const put = (drawing) => transaction("readwrite", (store) => store.put(drawing));

/** The drawings that wait; one that the server refused has its reason as `problem`. */
export const waiting = () => transaction("readonly", (store) => store.getAll());

/** Send all, oldest first; stops where the server cannot be reached. Resolves to the number sent. */
export function sendAll() {
  return navigator.locks.request("handigit-outbox", async () => {
    let sent = 0;
    for (const drawing of await waiting()) {
      try {
        await send(drawing);
      } catch (error) {
        if (isTemporary(error.status)) break;
        await put({ ...drawing, problem: error.message });
        continue;
      }
      await transaction("readwrite", (store) => store.delete(drawing.key));
      sent += 1;
    }
    return sent;
  });
}

/** Store a drawing as a reading, with its correction if there is one. */
export async function send({ key, kind, picture, correction }) {
  const { readings: [reading] } = await post(`/v1/${kind}?name=drawing-${key}.png`, { body: picture, key });
  if (correction) await post(`/v1/readings/${reading.id}/corrections`, { json: correction, key });
  return reading;
}

const isTemporary = (status) => [undefined, 0, 401, 429].includes(status) || status >= 500;

async function transaction(mode, work) {
  const database = await opened();
  try {
    return await finished(work(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function opened() {
  const opening = indexedDB.open("handigit-outbox", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "key" });
  return finished(opening);
}

const finished = (action) => new Promise((resolve, reject) => {
  action.onsuccess = () => resolve(action.result);
  action.onerror = () => reject(action.error);
});
