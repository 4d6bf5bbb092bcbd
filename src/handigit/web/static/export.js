// Downloading results: the server's export, or JSON lines made here where it has not stored them all.

import { send } from "./api.js";
import { make } from "./dom.js";

const IDS_PER_REQUEST = 400; // proxies accept addresses of 8 kB
const TYPES = { xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" };

/** Whether the server has stored all readings, and so can export them. */
export const areStored = (readings) => readings.every(({ id }) => id);

/** Download readings as a file of that format. */
export async function download(readings, format) {
  const address = URL.createObjectURL(await fileOf(readings, format));
  make("a", { href: address, download: `handigit.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function fileOf(readings, format) {
  if (!areStored(readings)) return new Blob(readings.map(toJsonLine));
  if (format !== "xlsx") return new Blob([await exported(readings, format)]);
  if (readings.length > IDS_PER_REQUEST) throw new Error(`Excel export takes up to ${IDS_PER_REQUEST} readings here. Export them from Readings.`);
  const response = await send(`/v1/readings/export?format=xlsx&${readings.map(({ id }) => `number=${id}`).join("&")}`);
  return new Blob([await response.arrayBuffer()], { type: TYPES.xlsx });
}

/** The server's lines in the order of these readings; it sends JSONL newest first. No cell contains a line break. */
async function exported(readings, format) {
  let header = "";
  const result = [];
  for (let start = 0; start < readings.length; start += IDS_PER_REQUEST) {
    const ids = readings.slice(start, start + IDS_PER_REQUEST).map(({ id }) => `number=${id}`);
    const response = await send(`/v1/readings/export?format=${format}&${ids.join("&")}`);
    const lines = (await response.text()).match(/.+\r?\n/g) ?? [];
    if (format === "csv") header = lines.shift();
    result.push(...(format === "csv" ? lines : lines.reverse()));
  }
  return header + result.join("");
}

const toJsonLine = ({ key, correction, ...reading }) => `${JSON.stringify(reading)}\n`;
