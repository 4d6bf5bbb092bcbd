// The paper behind the ink: polarity, brightness at each place, noise. A port of `handigit.images.background`.

import { blur3, blurBytes, largestDistance, medianBlur, otsu } from "./filters.js";
import { closed, erode } from "./morphology.js";
import { Plane, clamp, countNonZero, cumulativeHistogram, levelAt, maskedMean, maximum, mean, median, not, range, roundHalfEven } from "./plane.js";
import { resizeArea, resizeLinear } from "./resize.js";

export const GLANCE_PX = 192;
const READING_PX = 16_000_000;
const SMALL_PX = 64;
const MAX_STROKE = 0.24;
const MAX_TABLE = 0.22;
const SHADED = 0.18;
const LEVEL = 0.25;
const DOUBTFUL = 0.7;
const FAINT = 0.12;
const EXPOSED = 0.5;
const DEEPEST_SHADOW = 0.4;

/** The picture reduced by area averaging to at most `longestPx`; a smaller one unchanged. */
export function downscale(grey, longestPx) {
  const scale = longestPx / grey.longest;
  if (scale >= 1) return grey;
  return resizeArea(grey, Math.max(1, roundHalfEven(grey.width * scale)), Math.max(1, roundHalfEven(grey.height * scale)));
}

/** The page reduced to about `READING_PX`; a smaller one unchanged. */
export const reduceLarge = (page) => downscale(page, Math.floor(page.longest * Math.min(1, Math.sqrt(READING_PX / page.data.length))));

/** Whether the ink in a crop of one character could be either of the two shades. */
export const polarityIsDoubtful = (crop) => Math.abs(darkInkVotes(downscale(crop, GLANCE_PX))) < DOUBTFUL;

/** How clearly the ink is the darker of the two shades; below 0 it is the lighter. */
export function darkInkVotes(grey) {
  const light = otsu(grey);
  const size = grey.data.length;
  const count = countNonZero(light);
  if (count === 0 || count === size) return Infinity;
  const [roomLight, roomDark] = [largestDistance(light), largestDistance(not(light))];
  const votes = count / size - 0.5 + (roomLight - roomDark) / (roomLight + roomDark);
  if (Math.min(roomLight, roomDark) < MAX_STROKE * grey.longest && isTwoTone(grey, light, count)) {
    const inner = grey.shortest > 2 ? light.cut(1, 1, grey.width - 1, grey.height - 1) : Plane.bytes(0, 0);
    return votes + (count - countNonZero(inner)) / Math.max(size - inner.data.length, 1) - 0.5;
  }
  return 0.4 * votes + 2 * contrastSkew(grey) + 0.4;
}

/** Whether the more frequent shade is one level compared with the distance to the other. */
function isTwoTone(grey, light, count) {
  const histogram = cumulativeHistogram(grey, 2 * count > grey.data.length ? light : not(light));
  const spread = levelAt(histogram, 0.75) - levelAt(histogram, 0.25);
  return spread <= LEVEL * contrastBetween(grey, light);
}

const contrastBetween = (grey, light) => maskedMean(grey, light) - maskedMean(grey, not(light));

/** +1 if everything that differs from its surroundings is darker, -1 if brighter: skewness about the median. */
function contrastSkew(grey) {
  const window = Math.max(Math.floor(grey.longest / 3), 3) | 1;
  const rim = Math.min(window >> 1, (grey.shortest - 1) >> 1);
  const surroundings = medianBlur(grey, window);
  const faintest = FAINT * range(grey.data);
  let [cubes, magnitudes] = [0, 0];
  for (let y = rim; y < grey.height - rim; y++) {
    for (let x = rim; x < grey.width - rim; x++) {
      const contrast = surroundings.data[y * grey.width + x] - grey.data[y * grey.width + x];
      if (Math.abs(contrast) < faintest) continue;
      cubes += contrast ** 3;
      magnitudes += Math.abs(contrast ** 3);
    }
  }
  return cubes / (magnitudes + 1e-3);
}

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
  const exposed = darkness.data.filter((_, i) => page.data[i] < 250);
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
