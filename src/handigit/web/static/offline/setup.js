// Keeps the first page, its scripts and the models on this device, so that the pad reads without a network.

import { request } from "../api.js";

const CACHE = "handigit-offline";
const VERSION = "handigit-offline";

/** Store all files; `onProgress(bytes, total)` after each. Files that are there already are not loaded again. */
export async function makeAvailable(onProgress = () => {}) {
  if (!navigator.serviceWorker) throw new Error("Browsers keep pages only from https or from this computer.");
  const { version, models, files } = await request("/offline.json");
  await navigator.serviceWorker.register("/service-worker.js");
  await navigator.serviceWorker.ready;
  const cache = await caches.open(CACHE);
  await forgetOldModels(cache, models);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  await Promise.all(files.map(async ({ address, bytes }) => {
    if (!(await cache.match(address))) await cache.add(address);
    onProgress((done += bytes), total);
  }));
  localStorage.setItem(VERSION, JSON.stringify({ version, models }));
}

/** Load what has changed on the server since the files were kept. */
export async function refresh() {
  const { version } = await request("/offline.json");
  if (version !== JSON.parse(localStorage.getItem(VERSION)).version) await makeAvailable();
}

async function forgetOldModels(cache, models) {
  for (const { url } of await cache.keys()) {
    const { pathname } = new URL(url);
    if (pathname.startsWith("/offline/") && !pathname.startsWith(models)) await cache.delete(url);
  }
}
