// What was read as a file to keep: CSV for spreadsheets, JSON lines for programs. The same rules as the server's export.

const PLAIN = /^[+-]?[0-9]+([.,][0-9]+)*$/;
const FORMULA = /(^|[;,\t\r\n"])([\s\0]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;
const HEADINGS = "id,source,page,outcome,text,confidence,corrected_outcome,corrected_text,left,top,right,bottom,model";

/** A cell that no spreadsheet runs as a formula; numbers, leading zeros too, stay as they are. */
export function safeCell(value) {
  const text = String(value ?? "");
  return PLAIN.test(text) ? text : text.replace(FORMULA, "$1$2'");
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export function toCsv(readings) {
  const cells = ({ id, source, page, outcome, text, confidence, truth, box, model }) => [
    ...[id, source, page, outcome, text, confidence, truth?.outcome, truth?.text],
    ...(box ?? ["", "", "", ""]),
    model,
  ];
  const line = (values) => values.map((value) => quoted(safeCell(value))).join(",");
  return [HEADINGS, ...readings.map((one) => line(cells(one)))].map((one) => `${one}\r\n`).join("");
}

export const toJsonLines = (readings) => readings.map((one) => `${JSON.stringify(one)}\n`).join("");

/** Hand a text to the visitor as a file. */
export function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  [link.href, link.download] = [address, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
