// Dark ink or light, and pictures reduced for a glance. A port of `handigit.images.polarity`.

import { largestDistance, medianBlur, otsu } from "./filters.js";
import { Plane, countNonZero, cumulativeHistogram, levelAt, maskedMean, not, range, roundHalfEven } from "./plane.js";
import { resizeArea } from "./resize.js";

export const GLANCE_PX = 192;
const READING_PX = 16_000_000;
const MAX_STROKE = 0.24;
const LEVEL = 0.25;
const DOUBTFUL = 0.7;
const FAINT = 0.12;

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

const counted = new WeakMap();

/** How clearly the ink is the darker of the two shades; below 0 it is the lighter. Asked twice of a digit's page. */
export function darkInkVotes(grey) {
  if (!counted.has(grey)) counted.set(grey, countVotes(grey));
  return counted.get(grey);
}

function countVotes(grey) {
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

/** Difference between the mean grey levels of the two shades. */
export const contrastBetween = (grey, light) => maskedMean(grey, light) - maskedMean(grey, not(light));

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
