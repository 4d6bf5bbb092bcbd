// The paper behind the ink: brightness at each place, noise. A port of `handigit.images.background`.

import { blur3, blurBytes, largestDistance, otsu } from "./filters.js";
import { closed, erode } from "./morphology.js";
import {
  Plane, above, clamp, countNonZero, cumulativeHistogram, levelAt, maximum, mean, median, not, select,
} from "./plane.js";
import { GLANCE_PX, contrastBetween, downscale } from "./polarity.js";
import { resizeLinear } from "./resize.js";

const SMALL_PX = 64;
const MAX_TABLE = 0.22;
const SHADED = 0.18;
const EXPOSED = 0.5;
const DEEPEST_SHADOW = 0.4;

/** {page, darkness, noise}: darkness against the paper nearby, 0 paper and 1 black; null for a page of one shade. */
export function estimateBackground(page) {
  const light = otsu(page);
  const count = countNonZero(light);
  if (count === 0 || count === page.data.length) return null;
  const sums = cumulativeHistogram(page, light);
  const [middle, high] = [levelAt(sums, 0.5), levelAt(sums, 0.75)];
  if (isEvenlyLit(page, light, high - middle)) {
    const scale = Math.fround(1 / middle);
    const darkness = page.map((value) => Math.max(1 - Math.fround(value * scale), 0), Float32Array);
    return { page, darkness, noise: (high - middle) / 0.674 / middle };
  }
  const paper = paperBrightness(page);
  let darkness = page.map((value, i) => 1 - Math.fround(value / paper.data[i]), Float32Array);
  if (page.longest > SMALL_PX) darkness = blur3(darkness);
  const exposed = select(darkness, not(above(page, 249)));
  if (exposed.length < EXPOSED * page.data.length) {
    return { page, darkness: darkness.map((value) => Math.max(value, 0), Float32Array), noise: 0 };
  }
  const bare = median(exposed);
  const noise = median(exposed.map((value) => Math.abs(value - bare))) / 0.674;
  return { page, darkness: darkness.map((value) => Math.max(value - bare, 0), Float32Array), noise };
}

/** Whether one brightness represents all the paper. */
function isEvenlyLit(page, light, spread) {
  const contrast = contrastBetween(page, light);
  const inner = erode(light, 3, 3);
  const hasInner = 3 * countNonZero(inner) > countNonZero(light);
  const paper = cumulativeHistogram(page, hasInner ? inner : light);
  const dark = not(light);
  const ink = cumulativeHistogram(page, dark);
  const [shaded, middle] = [levelAt(paper, SHADED), levelAt(paper, 0.5)];
  if (spread > 0.12 * contrast || (hasInner && middle - shaded > 0.22 * contrast)) return false;
  if (mean(light.sides().flatMap((side) => [...side])) > 0.9) return true;
  const [darkest, usual] = [levelAt(ink, 0.03), levelAt(ink, 0.5)];
  if (usual - darkest < 0.1 * contrast && !coversSides(dark)) return true;
  const small = downscale(dark, GLANCE_PX);
  return largestDistance(small) < MAX_TABLE * small.longest;
}

/** Whether a mask covers a whole side of the picture, as a table or a shadow does. */
const coversSides = (mask) => mask.sides().some((side) => mean(side) > 0.95);

/** The brightness of the paper without ink: a closing with a window wider than strokes, on a small copy. */
function paperBrightness(page) {
  const small = downscale(page, 128);
  const window = Math.max(small.longest >> 2, 3) | 1;
  const margin = Math.min(window, small.width - 1, small.height - 1);
  const wide = blurBytes(erode(closed(oddReflection(small, margin), window, window), 3, 3));
  const inner = wide.cut(margin, margin, margin + small.width, margin + small.height);
  const paper = resizeLinear(inner, page.width, page.height);
  const lowest = Math.max(1, DEEPEST_SHADOW * maximum(paper.data));
  return paper.map((value) => Math.max(value, lowest), Float32Array);
}

/** The picture continued on all sides so that slopes go on: `np.pad` with odd reflection. */
function oddReflection(plane, margin) {
  const tall = reflectRows(plane, margin);
  return reflectRows(tall.transposed(), margin).transposed().map((value) => clamp(value, 0, 255));
}

function reflectRows({ width, height, data }, margin) {
  const result = new Plane(width, height + 2 * margin, new Int16Array(width * (height + 2 * margin)));
  for (let y = -margin; y < height + margin; y++) {
    const edge = clamp(y, 0, height - 1);
    const mirrored = 2 * edge - y;
    for (let x = 0; x < width; x++) {
      const value = edge === y ? data[y * width + x] : 2 * data[edge * width + x] - data[mirrored * width + x];
      result.data[(y + margin) * width + x] = value;
    }
  }
  return result;
}
