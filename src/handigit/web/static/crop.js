// Crops of a page as SVG: the viewBox is the number's box, or more of the page around it.

import { makeSvg, rectOf } from "./dom.js";

const MAX_CACHED_PAGES = 24;
const pages = new Map();

/** The decoded page with that SHA-256: address and size; null where it is missing. Cached, so it can be preloaded. */
export function loadPage(sha256) {
  if (!pages.has(sha256)) pages.set(sha256, sha256 ? decode(`/v1/pictures/${sha256}`) : null);
  if (pages.size > MAX_CACHED_PAGES) pages.delete(pages.keys().next().value);
  return pages.get(sha256);
}

/** A decoded picture: address and size in pixels; null where it cannot be shown. */
export async function decode(address) {
  const image = new Image();
  image.src = address;
  await image.decode().catch(() => {});
  return image.naturalWidth ? { address, width: image.naturalWidth, height: image.naturalHeight, image } : null;
}

/** A box from its HTML attribute "left,top,right,bottom". */
export const parseBox = (text) => (text ? text.split(",").map(Number) : null);

/** The surroundings of a box; null where they are not much larger than the box. */
export function contextView(box, page) {
  if (!box) return null;
  const { width, height } = rectOf(box);
  const view = expand(box, Math.max(4 * height, 0.4 * width), Math.max(4 * height, 0.6 * width), page);
  return view.width * view.height > 3 * width * height ? view : null;
}

export const wholePage = ({ width, height }) => ({ x: 0, y: 0, width, height });

function expand([left, top, right, bottom], marginX, marginY, page) {
  const [x, y] = [Math.max(0, left - marginX), Math.max(0, top - marginY)];
  return { x, y, width: Math.max(1, Math.min(page.width, right + marginX) - x), height: Math.max(1, Math.min(page.height, bottom + marginY) - y) };
}

/** The number's crop with a margin, or a text where the page is missing. */
export function cropOf(page, box, label) {
  if (!page) return "The picture is not stored.";
  const margin = box && Math.max(4, 0.3 * (box[3] - box[1]));
  return crop(page, box ? expand(box, margin, margin, page) : wholePage(page), label);
}

/** A part of a page as a picture; `mark` is a box to outline. Without a label it is hidden from screen readers. */
export function crop(page, { x, y, width, height }, label, mark) {
  const viewBox = `${x} ${y} ${width} ${height}`;
  const name = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const image = makeSvg("image", { href: page.address, width: page.width, height: page.height });
  // The nested svg clips whatever is outside the view.
  const clipped = makeSvg("svg", { x, y, width, height, viewBox, "aria-hidden": "true" }, image);
  const svg = makeSvg("svg.crop", { viewBox, ...name }, clipped, mark && makeSvg("rect.mark", rectOf(mark)));
  svg.style.setProperty("--ratio", width / height);
  return svg;
}
