// What was read as a file to keep: as the server exports it, or, where it has not kept all, as lines of JSON made here.

import { send } from "./api.js";
import { make } from "./dom.js";

const AT_ONCE = 400; // readings named in one address: proxies take 8 kB

/** Whether the server has them all: only then can it export them. */
export const areKept = (readings) => readings.every(({ id }) => id);

/** Hand readings to the visitor as a file of that format. */
export async function save(readings, format) {
  const text = areKept(readings) ? await exported(readings, format) : readings.map(toJsonLine).join("");
  const address = URL.createObjectURL(new Blob([text]));
  make("a", { href: address, download: `handigit.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The server's own lines, in the order of these readings; it has the newest first. No cell has a line break in it. */
async function exported(readings, format) {
  let headings = "";
  const found = [];
  for (let from = 0; from < readings.length; from += AT_ONCE) {
    const numbers = readings.slice(from, from + AT_ONCE).map(({ id }) => `number=${id}`);
    const answer = await send(`/v1/readings/export?format=${format}&${numbers.join("&")}`);
    const lines = (await answer.text()).match(/.+\r?\n/g) ?? [];
    if (format === "csv") headings = lines.shift();
    found.push(...lines.reverse());
  }
  return headings + found.join("");
}

const toJsonLine = ({ key, correction, ...reading }) => `${JSON.stringify(reading)}\n`;
