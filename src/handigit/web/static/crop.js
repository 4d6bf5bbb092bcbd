// Cutting what was read out of its page: an SVG whose view is the box, or more of the page around it.

import { areaOf, draw } from "./dom.js";

const MOST_KEPT = 24;
const pages = new Map();

/** The page of that digest, decoded: its address and size. Asked for early it is there at once; null where it is not. */
export function pageOf(digest) {
  if (!pages.has(digest)) pages.set(digest, digest ? decoded(`/v1/pictures/${digest}`) : null);
  if (pages.size > MOST_KEPT) pages.delete(pages.keys().next().value);
  return pages.get(digest);
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode().catch(() => {});
  return image.naturalWidth ? { address, width: image.naturalWidth, height: image.naturalHeight, image } : null;
}

/** A box as pages carry it in their HTML: "left,top,right,bottom". */
export const boxOf = (text) => (text ? text.split(",").map(Number) : null);

/** The box with some paper around it; the whole page where there is no box. */
function closeView(box, page) {
  const margin = box && Math.max(4, 0.3 * (box[3] - box[1]));
  return box ? around(box, margin, margin, page) : whole(page);
}

/** What stands around the box. Null where that is not much more than the box. */
export function wideView(box, page) {
  if (!box) return null;
  const { width: wide, height: high } = areaOf(box);
  const view = around(box, Math.max(4 * high, 0.4 * wide), Math.max(4 * high, 0.6 * wide), page);
  return view.width * view.height > 3 * wide * high ? view : null;
}

export const whole = ({ width, height }) => ({ x: 0, y: 0, width, height });

function around([left, top, right, bottom], aside, over, page) {
  const [x, y] = [Math.max(0, left - aside), Math.max(0, top - over)];
  return { x, y, width: Math.max(1, Math.min(page.width, right + aside) - x), height: Math.max(1, Math.min(page.height, bottom + over) - y) };
}

/** The box cut out of its page, or why it is not. */
export const closeCut = (page, box, label) => (page ? cut(page, closeView(box, page), label) : "No picture of this was kept.");

/** That part of a page as a picture; `mark` is a box drawn on it. Without a label it says nothing that is not beside it. */
export function cut(page, { x, y, width, height }, label, mark) {
  const viewBox = `${x} ${y} ${width} ${height}`;
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const cutting = draw("svg.crop", { viewBox, ...named },
    // A view of its own inside, so that nothing shows that lies beside the view.
    draw("svg", { x, y, width, height, viewBox, "aria-hidden": "true" }, draw("image", { href: page.address, width: page.width, height: page.height })),
    mark && draw("rect.mark", areaOf(mark)));
  cutting.style.setProperty("--ratio", width / height);
  return cutting;
}
