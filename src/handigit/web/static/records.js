// Records of forms: read a pile, correct fields, outline the sheet of a page.

import { freshKey, post, requestLines } from "./api.js";
import { ARROWS } from "./area_selection.js";
import { attempt, attemptIn, byId, makeSvg, on, onSubmit } from "./dom.js";

const entries = [...document.querySelectorAll(".entry")];
document.querySelector(".entry [autofocus]")?.select(); // what is typed replaces the value, as in the entries after it

/** Store a field, then go on to the next one. */
for (const entry of entries) onSubmit(entry, (button) => attempt(async () => {
  const { record, field, reload } = entry.dataset;
  const input = entry.elements.text;
  if (button?.value) input.value = button.value;
  await post(`/v1/records/${record}/fields/${encodeURIComponent(field)}`, { json: { text: input.value }, key: freshKey() });
  if (reload) return location.reload();
  entry.className = "entry done";
  entry.querySelector(".outcome").textContent = "by a person";
  byId("done").textContent = document.querySelectorAll(".done").length;
  entries[entries.indexOf(entry) + 1]?.elements.text.select();
}));

async function readPile({ elements: { template, scans } }) {
  const body = new FormData();
  for (const scan of scans.files) body.append("file", scan);
  let [count, name] = [0, null];
  const onLine = ({ problem, batch }) => {
    if (problem) throw new Error(problem.detail);
    name = batch;
    byId("pile-status").textContent = `${++count} read ...`;
  };
  await requestLines(`/v1/forms/${template.value}/records`, { method: "POST", body, onLine });
  location.assign(`/forms/batches/${encodeURIComponent(name)}`);
}
const pile = byId("pile");
if (pile) onSubmit(pile, () => attemptIn(byId("pile-error"), () => readPile(pile)));
let picture = null;

/** Four handles over the picture, at its corners first. */
async function showCorners() {
  await picture.decode();
  const [width, height] = [picture.naturalWidth, picture.naturalHeight];
  const overlay = byId("outline").querySelector("svg");
  const corners = [[0, 0], [width, 0], [width, height], [0, height]];
  const shape = makeSvg("polygon.selection", {});
  const handles = ["Left top", "Right top", "Right bottom", "Left bottom"].map((name, index) => {
    const move = (x, y) => { corners[index] = [x, y].map(Math.round); paint(); };
    return makeSvg("circle.corner", { role: "button", tabindex: 0, r: width / 40, "aria-label": `${name} corner`,
      onkeydown: (event) => ARROWS[event.key] && (event.preventDefault(), move(...corners[index].map((side, axis) => side + (ARROWS[event.key][axis] * width) / 200))),
      onpointerdown: ({ target, pointerId }) => target.setPointerCapture(pointerId),
      onpointermove: ({ target, pointerId, clientX, clientY }) => {
        const { left, top, width: shown } = picture.getBoundingClientRect();
        if (target.hasPointerCapture(pointerId)) move(((clientX - left) * width) / shown, ((clientY - top) * width) / shown);
      } });
  });
  const paint = () => {
    shape.setAttribute("points", corners.join(" "));
    byId("corners").value = corners.join(" ");
    handles.forEach((handle, index) => ["cx", "cy"].forEach((axis, i) => handle.setAttribute(axis, corners[index][i])));
  };
  overlay.replaceChildren(shape, ...handles);
  paint();
}
for (const sheet of document.querySelectorAll(".sheet")) {
  const image = sheet.querySelector("img");
  image.decode().then(() => sheet.querySelector("svg").setAttribute("viewBox", `0 0 ${image.naturalWidth} ${image.naturalHeight}`));
  picture = image;
}
on("click", "#show-corners", showCorners);
