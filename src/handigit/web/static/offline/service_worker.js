// Answers from the cache that `setup.js` fills, where the network does not: the first page, its files, the models.

const CACHE = "handigit-offline";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== self.location.origin) return;
  if (/^\/offline\/|\.gz$/.test(pathname)) event.respondWith(cacheFirst(event.request));
  else if (pathname === "/" || /^\/(static|samples)\//.test(pathname)) event.respondWith(networkFirst(event.request));
});

/** Models and the runtime never change at one address. */
async function cacheFirst(request) {
  return (await caches.match(request, { cacheName: CACHE })) ?? fetch(request);
}

/** Everything else is as new as the network allows, and so is its copy. */
async function networkFirst(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok && !response.redirected && (await cache.match(request))) await cache.put(request, response.clone());
    return response;
  } catch (problem) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw problem;
  }
}
