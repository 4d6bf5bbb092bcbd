// The sheet of paper in a photo of one on a table, found and cut out. A port of `handigit.images.sheet`.

import { fillConvex } from "./drawing.js";
import { blur3, blurFloats, medianBlur, otsu } from "./filters.js";
import { closed, erode } from "./morphology.js";
import { Plane, clamp, maximum, mean, median, not, roundHalfEven, select } from "./plane.js";
import { GLANCE_PX, darkInkVotes, downscale } from "./polarity.js";
import { connectedParts, convexHull, outline, polygonArea, polygonLength, simplified } from "./regions.js";
import { resizeLinear } from "./resize.js";

const LOOK_PX = 256;
const MIN_SIDE_PX = 72;
const MIN_AREA = 0.1;
const MIN_SOLIDITY = 0.92;
const MIN_CONTRAST = 0.12;
const MIN_SHARP = 0.75;
const SHARP = 0.5;
const MIN_SIDES = 2;
const MIN_INK = 0.0008;
const MAX_BRIGHT_BORDER = 0.2;
const AT_EDGE = 0.02;
const RIM = 0.012;

/** The convex outline, [x, y] in pixels of the picture, of the bright sheet in it; null if the paper fills the picture. */
function findSheet(grey) {
  const small = downscale(grey, LOOK_PX);
  if (small.shortest < MIN_SIDE_PX) return null;
  const side = Math.max(3, Math.floor(small.longest / 24)) | 1;
  const bare = closed(medianBlur(small, 3), side, side);
  const bright = otsu(bare);
  if (bright.sides().every((pixels) => pixels.every(Boolean))) return null; // no table at the border
  const table = select(bare, not(bright));
  if (table.length === bare.data.length) return null;
  const hull = largestHull(bright);
  if (!hull) return null;
  const sides = innerSides(small, hull); // first, as the cheapest condition
  if (sides.length < MIN_SIDES || isOnPaper(bright, hull) || !hasInk(small, bare, bright, hull)) return null;
  const paper = median(select(bare, bright));
  const contrast = paper - median(table);
  if (contrast < Math.max(MIN_CONTRAST * paper, 12)) return null;
  if (!areSharp(sides, blur3(bare), contrast)) return null;
  const scale = grey.width / small.width;
  return hull.map(([x, y]) => [Math.fround(x * scale), Math.fround(y * scale)]);
}

/** The picture with paper in place of what a sheet lies on; the same object if no sheet is found. */
function withoutTable(page) {
  const sheet = findSheet(page);
  return sheet ? paintOverTable(page, sheet) : page;
}

/** The picture with dark ink, inverted if the ink on its sheet is the lighter of the two shades, and without a table. */
export function cleanPage(grey) {
  const clean = withoutTable(grey);
  const votes = darkInkVotes(downscale(clean, GLANCE_PX));
  return votes < 0 ? withoutTable(grey.map((value) => 255 - value)) : clean;
}

/** The picture with paper in place of everything around the sheet. */
function paintOverTable(grey, sheet) {
  const small = downscale(grey, LOOK_PX);
  const scale = small.width / grey.width;
  const inside = eroded(filled(small, sheet.map(([x, y]) => [roundHalfEven(Math.fround(x * scale)), roundHalfEven(Math.fround(y * scale))])), small);
  const side = Math.max(3, Math.floor(small.longest / 6)) | 1;
  const bare = closed(small, side, side);
  const sigma = small.longest / 8;
  const weight = blurFloats(inside.map((value) => value, Float32Array), sigma);
  const light = blurFloats(bare.map((value, i) => value * inside.data[i], Float32Array), sigma);
  const shown = select(bare, inside);
  const usual = shown.length ? median(shown) : 255;
  const paper = weight.map((value, i) => clamp(Math.floor(value > 0.02 ? light.data[i] / Math.max(value, 1e-3) : usual), 0, 255));
  const mask = resizeLinear(inside, grey.width, grey.height);
  const wide = resizeLinear(paper, grey.width, grey.height);
  return grey.map((value, i) => (mask.data[i] ? value : wide.data[i]));
}

function filled({ width, height }, corners) {
  const mask = Plane.bytes(width, height);
  fillConvex(mask, corners);
  return mask;
}

/** The mask without its rim; paper beyond the picture's edge is not the sheet's rim. */
function eroded(mask, small) {
  const rim = Math.max(1, roundHalfEven(RIM * small.longest));
  const wide = Plane.bytes(mask.width + 2 * rim, mask.height + 2 * rim);
  for (let y = 0; y < wide.height; y++) {
    for (let x = 0; x < wide.width; x++) {
      const from = clamp(y - rim, 0, mask.height - 1) * mask.width + clamp(x - rim, 0, mask.width - 1);
      wide.data[y * wide.width + x] = mask.data[from];
    }
  }
  return erode(wide, 2 * rim + 1, 2 * rim + 1).cut(rim, rim, rim + mask.width, rim + mask.height);
}

/** The corners of the largest bright region, if it is solid and neither too small nor the whole picture. */
function largestHull(bright) {
  const { labels, parts } = connectedParts(bright, { connectivity: 4 });
  if (!parts.length) return null;
  const largest = parts.findIndex(({ area }) => area === maximum(parts.map((part) => part.area)));
  const border = outline(labels, largest + 1, bright.width, bright.height);
  const hull = convexHull(border);
  const [area, hullArea] = [polygonArea(border), polygonArea(hull)];
  if (hullArea < MIN_AREA * bright.data.length || area < MIN_SOLIDITY * hullArea) return null;
  const polygon = simplified(hull, 0.02 * polygonLength(hull));
  // A quadrilateral, with up to four more corners where the picture's edges cut it; a blob has more, and so has a 0.
  const edge = AT_EDGE * bright.longest;
  const inView = polygon.filter(([x, y]) => x >= edge && y >= edge && x < bright.width - edge && y < bright.height - edge);
  const isSheet = polygon.length >= 4 && polygon.length <= 8 && inView.length <= 4 && polygonArea(polygon) >= 0.9 * hullArea;
  return isSheet ? polygon : null;
}

/** Whether the surroundings of the hull are paper, by the picture's border. */
function isOnPaper(bright, hull) {
  const inside = filled(bright, hull);
  const isOutside = ({ width, height }, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return !inside.data[i] && (x === 0 || y === 0 || x === width - 1 || y === height - 1);
  };
  const outside = bright.data.filter((_, i) => isOutside(bright, i));
  return outside.length > 0 && mean(outside) > MAX_BRIGHT_BORDER;
}

/** Whether something is drawn inside the hull: strokes that the closing removed, or thicker ones. */
function hasInk(small, bare, bright, hull) {
  const margin = Math.max(3, Math.floor(small.longest / 24)) | 1;
  const inside = erode(filled(small, hull), margin, margin);
  const shown = select(bare, inside);
  if (!shown.length) return false;
  const paper = median(shown);
  const inked = bare.map((value, i) => (value - small.data[i] > 0.12 * paper || !bright.data[i] ? 1 : 0));
  return mean(select(inked, inside)) >= MIN_INK;
}

/** The hull's sides that are inside the picture: points along each, and its outward normal. */
function innerSides({ width, height, longest, shortest }, hull) {
  const edge = 0.02 * longest;
  const centre = [0, 1].map((axis) => hull.reduce((total, corner) => total + corner[axis], 0) / hull.length);
  return hull.flatMap(([x0, y0], i) => {
    const [x1, y1] = hull[(i + 1) % hull.length];
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length < 0.1 * shortest) return [];
    const count = Math.max(8, Math.floor(length / 2));
    const points = Array.from({ length: count }, (_, n) => 0.06 + (n * 0.88) / (count - 1)).map((t) => [x0 + (x1 - x0) * t, y0 + (y1 - y0) * t]);
    const atBorder = points.filter(([x, y]) => x < edge || y < edge || x > width - 1 - edge || y > height - 1 - edge);
    if (atBorder.length / count > 0.5) return [];
    const normal = [(y1 - y0) / length, (x0 - x1) / length];
    const isInward = normal[0] * (centre[0] - x0) + normal[1] * (centre[1] - y0) > 0;
    return [{ points, normal: isInward ? normal.map((value) => -value) : normal }];
  });
}

/** Whether there is a sharp step from sheet to table along the sides. */
function areSharp(sides, blurred, contrast) {
  const { width, height } = blurred;
  const reach = Math.max(2, 0.015 * blurred.longest);
  const sample = (x, y) => blurred.data[clamp(roundHalfEven(y), 0, height - 1) * width + clamp(roundHalfEven(x), 0, width - 1)];
  const isStep = ([x, y], [nx, ny]) => sample(x - nx * reach, y - ny * reach) - sample(x + nx * reach, y + ny * reach) >= SHARP * contrast;
  const steps = sides.flatMap(({ points, normal }) => points.map((point) => isStep(point, normal)));
  return steps.filter(Boolean).length >= MIN_SHARP * steps.length;
}
