// Where a request fails for want of a network, the same on this device.

/** `online()`, or where the server cannot be reached and the models are on this device, `offline` with `pad.js`. */
export async function withoutNetwork(online, offline) {
  try {
    return await online();
  } catch (error) {
    if (error.status !== 0 || !localStorage.getItem("handigit-offline")) throw error;
    return offline(await import("./pad.js"));
  }
}
