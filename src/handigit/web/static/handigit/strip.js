// Crop -> strip: 48 pixels high, contrast stretched. A port of `handigit.images.strip`.

import { Plane, clamp, cumulativeHistogram, minimum, roundHalfEven } from "./plane.js";
import { resizeArea, resizeLinear } from "./resize.js";

export const STRIP_PX = 48;
const MAX_WIDTH_PX = 1280;
const MIN_WIDTH_PX = 24;
const MIN_CONTRAST = 64;
const INK_BELOW = 0.5;
const [DARKEST, BRIGHTEST] = [0.005, 0.95];

/** Pixels in -1..1, paper bright. */
export class Strip {
  constructor(pixels) {
    this.pixels = pixels;
  }

  get width() {
    return this.pixels.width;
  }

  /** Whether anything is darker than paper; false only for bare paper. */
  get hasInk() {
    return minimum(this.pixels.data) < INK_BELOW;
  }

  /** Strength of the ink, 0..1. */
  get ink() {
    return this.pixels.map((value) => Math.max(-value, 0), Float32Array);
  }

  /** The same strip, stretched horizontally as far as the maximum width allows. */
  widened(factor) {
    const width = Math.min(roundHalfEven(this.width * factor), MAX_WIDTH_PX);
    return new Strip(resizeLinear(this.pixels, width, STRIP_PX));
  }
}

/** The strip of a crop, ink dark on light. */
export function makeStrip(crop) {
  const width = clamp(roundHalfEven((crop.width * STRIP_PX) / crop.height), MIN_WIDTH_PX, MAX_WIDTH_PX);
  const grey = (crop.height > STRIP_PX ? resizeArea : resizeLinear)(crop, width, STRIP_PX);
  return new Strip(stretchContrast(grey));
}

/** Grey levels as -1..1: the darkest 0.5 % become -1 and the brightest 5 % become 1, unless contrast is very low. */
function stretchContrast(grey) {
  const counts = cumulativeHistogram(grey);
  const [dark, bright] = [DARKEST, BRIGHTEST].map((fraction) => counts.findIndex((count) => count >= fraction * counts[255]));
  const scale = Math.fround(2 / Math.max(bright - dark, MIN_CONTRAST));
  const levels = Float32Array.from({ length: 256 }, (_, level) => clamp(Math.fround((level - bright) * scale) + 1, -1, 1));
  return new Plane(grey.width, grey.height, Float32Array.from(grey.data, (level) => levels[level]));
}
