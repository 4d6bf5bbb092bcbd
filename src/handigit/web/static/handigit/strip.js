// Crop -> strip: 48 pixels high, contrast stretched. A port of `handigit.images.strip`.

import { dilate, opened } from "./morphology.js";
import { Plane, clamp, cumulativeHistogram, minimum, or, roundHalfEven, subtract } from "./plane.js";
import { connectedParts } from "./regions.js";
import { resizeArea, resizeLinear } from "./resize.js";

export const STRIP_PX = 48;
const MAX_WIDTH_PX = 1280;
const MIN_WIDTH_PX = 24;
const MIN_CONTRAST = 64;
const INK_BELOW = 0.5;
const [UPRIGHT, LEVEL] = [0.7, 0.5];
const MAX_ROWS = 0.55;
const MIN_PART = 0.5;
const MARGIN = 0.25;
const [DARKEST, BRIGHTEST] = [0.005, 0.95];

/** Pixels in -1..1, paper bright. */
class Strip {
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

  /** [top, bottom] of the writing as fractions of the height, without rules and specks; null without any. */
  writingRows() {
    const mask = this.pixels.map((value) => (value < 0 ? 1 : 0));
    const upright = opened(mask, 1, roundHalfEven(UPRIGHT * STRIP_PX));
    const level = opened(mask, Math.max(8, roundHalfEven(LEVEL * this.width)), 1);
    const { parts } = connectedParts(subtract(mask, dilate(or(upright, level), 3, 3)));
    const tallest = Math.max(...parts.map(({ height }) => height));
    const counted = parts.filter(({ height }) => height >= MIN_PART * tallest);
    if (!counted.length) return null;
    const bottoms = counted.map(({ top, height }) => top + height);
    return [Math.min(...counted.map(({ top }) => top)) / STRIP_PX, Math.max(...bottoms) / STRIP_PX];
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

/** The strip of the rows around the writing of a crop and its strip, if that is low; else null. */
export function makeCloserStrip(crop, strip) {
  const [top, bottom] = strip.writingRows() ?? [0, 1];
  if (bottom - top > MAX_ROWS) return null;
  const margin = MARGIN * (bottom - top);
  const first = Math.floor(Math.max(0, top - margin) * crop.height);
  const last = Math.ceil(Math.min(1, bottom + margin) * crop.height);
  return makeStrip(crop.cut(0, first, crop.width, Math.max(last, first + 1)));
}

/** Grey levels as -1..1: the darkest 0.5 % become -1 and the brightest 5 % become 1, unless contrast is very low. */
function stretchContrast(grey) {
  const counts = cumulativeHistogram(grey);
  const [dark, bright] = [DARKEST, BRIGHTEST].map((fraction) => counts.findIndex((count) => count >= fraction * counts[255]));
  const scale = Math.fround(2 / Math.max(bright - dark, MIN_CONTRAST));
  const levels = Float32Array.from({ length: 256 }, (_, level) => clamp(Math.fround((level - bright) * scale) + 1, -1, 1));
  return new Plane(grey.width, grey.height, Float32Array.from(grey.data, (level) => levels[level]));
}
