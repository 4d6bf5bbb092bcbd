// Ink -> glyph, 28 x 28 as in MNIST, and the other ways to see a picture. A port of `handigit.images.glyph`.

import { estimateBackground } from "./background.js";
import { moments, sheared } from "./filters.js";
import { findInk } from "./ink.js";
import { ellipse, erode, extremeAt } from "./morphology.js";
import { Plane, above, clamp, countNonZero, maximum, minimum, range, roundHalfEven, subtract } from "./plane.js";
import { downscale, polarityIsDoubtful } from "./polarity.js";
import { resizeArea, resizeLinear } from "./resize.js";

export const FIELD_PX = 28;
const INK_PX = 20;
const CENTRE = FIELD_PX / 2;
const WORK_PX = 512;
const PEN_PX = 1.8;
const EDGE = 0.3;
const MIN_SLANT = 0.3;
const CLEAR_PX = 48;
const TINY_PX = 12;
const MAX_FRAMED_PX = INK_PX + 2;
const BLACK = 64;
const MIN_TONE = 0.15;
const MIN_TONES = 0.6;

/** The ways to see a picture: `found` {glyph, box} or null, `frame` for one of a glyph's size, `inverted` if that is possible. */
class Views {
  constructor(found, frame, inverted = null) {
    Object.assign(this, { found, frame, inverted });
  }

  /** Whether the digit cut out of a frame is larger than digits in frames are, and so perhaps not all digit. */
  get oversized() {
    if (!this.found || !this.frame) return false;
    const { left, top, right, bottom } = this.found.box;
    return Math.max(right - left, bottom - top) > MAX_FRAMED_PX;
  }

  /** Further glyphs: the digit upright if it leans, with light ink if that is possible, and the frame. */
  others() {
    const upright = this.found && deslant(this.found.glyph);
    return [...(upright ? [upright] : []), ...(this.inverted ? [this.inverted.glyph] : []), ...this.#frameGlyphs()];
  }

  #frameGlyphs() {
    if (!this.frame || !range(this.frame.data)) return [];
    const darkest = minimum(this.frame.data);
    const span = maximum(this.frame.data) - darkest;
    const light = this.frame.map((value) => (value - darkest) / span, Float32Array);
    const dark = light.map((value) => 1 - value, Float32Array);
    return polarityIsDoubtful(this.frame) ? [dark, light] : [dark];
  }
}

/** The ways to see a page of one digit, ink dark on light and without a table. */
export function viewsOf(page) {
  if (page.longest <= TINY_PX) return viewsOfTiny(page);
  const found = findOnPaper(page);
  if (page.width === FIELD_PX && page.height === FIELD_PX) return new Views(found, page);
  // Without dark ink, light ink counts only in two tones: a lit part beside a shadow is not a digit.
  const inverted = found && polarityIsDoubtful(page) ? findOnPaper(negative(page)) : null;
  return new Views(found ?? findInTwoTones(page), null, inverted);
}

/** The views of a picture of a few pixels: a digit that fills a frame. */
function viewsOfTiny(page) {
  const scale = INK_PX / page.longest;
  const [width, height] = [page.width, page.height].map((side) => Math.max(1, roundHalfEven(scale * side)));
  const [left, top] = [(FIELD_PX - width) >> 1, (FIELD_PX - height) >> 1];
  const frame = Plane.bytes(FIELD_PX, FIELD_PX);
  frame.data.fill(maximum(page.data));
  const large = resizeLinear(page, width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) frame.data[(top + y) * FIELD_PX + left + x] = roundHalfEven(large.data[y * width + x]);
  }
  const { found, frame: seen } = viewsOf(frame);
  if (!found) return new Views(null, seen);
  const inside = moved(found.box, -left, -top);
  const box = { ...inside, left: Math.max(inside.left, 0), top: Math.max(inside.top, 0) };
  return new Views({ glyph: found.glyph, box: scaleBox(box, 1 / scale, page) }, seen);
}

const negative = (page) => page.map((value) => 255 - value);

/** The digit as light ink on a page of two tones, where it shows no dark ink; null for other pages. */
function findInTwoTones(page) {
  const fraction = (test) => page.data.filter(test).length / page.data.length;
  const [dark, light] = [fraction((value) => value < BLACK), fraction((value) => value > 255 - BLACK)];
  return Math.min(dark, light) > MIN_TONE && dark + light > MIN_TONES ? findOnPaper(negative(page)) : null;
}

function findOnPaper(page) {
  const small = downscale(page, WORK_PX);
  const background = estimateBackground(small);
  const ink = background && findInk(background);
  if (!ink) return null;
  const scale = page.width / small.width;
  const box = scaleBox(ink.box, scale, page);
  const side = Math.max(ink.box.right - ink.box.left, ink.box.bottom - ink.box.top);
  const closer = scale > 1 && side < CLEAR_PX ? findAtFullSize(page, box) : null;
  return closer ?? { glyph: normalise(ink), box };
}

/** The digit in that box of a large page, searched at full size. */
function findAtFullSize(page, box) {
  const margin = Math.max(box.right - box.left, box.bottom - box.top) >> 1;
  const [left, top] = [Math.max(box.left - margin, 0), Math.max(box.top - margin, 0)];
  const digit = findOnPaper(page.cut(left, top, Math.min(box.right + margin, page.width), Math.min(box.bottom + margin, page.height)));
  return digit && { glyph: digit.glyph, box: moved(digit.box, left, top) };
}

const moved = (box, x, y) => ({ left: box.left + x, top: box.top + y, right: box.right + x, bottom: box.bottom + y });

const scaleBox = (box, scale, { width, height }) => ({
  left: Math.min(Math.floor(box.left * scale), width - 1),
  top: Math.min(Math.floor(box.top * scale), height - 1),
  right: Math.min(Math.ceil(box.right * scale), width),
  bottom: Math.min(Math.ceil(box.bottom * scale), height),
});

/** The ink scaled and centred as in MNIST, thin strokes widened to those of MNIST's thinnest pens. */
function normalise(given) {
  const { strength, box } = thicken(given);
  let cut = strength.cut(box.left, box.top, box.right, box.bottom);
  const scale = INK_PX / cut.longest;
  if (scale !== 1) {
    const size = [Math.max(1, roundHalfEven(cut.width * scale)), Math.max(1, roundHalfEven(cut.height * scale))];
    cut = (scale < 1 ? resizeArea : resizeLinear)(cut, ...size).map((value) => Math.min(value, 1), Float32Array);
  }
  return centre(cut);
}

/** The ink of a wider pen, if its strokes would be narrower than `PEN_PX` in the glyph. */
function thicken(ink) {
  const { strength, box } = ink;
  const scale = INK_PX / Math.max(box.right - box.left, box.bottom - box.top);
  if (scale >= 1) return ink;
  const stroke = above(strength, 0.5);
  const rim = countNonZero(subtract(stroke, erode(stroke, 3, 3)));
  const onEachSide = roundHalfEven((PEN_PX / scale - (2 * countNonZero(stroke)) / Math.max(rim, 1)) / 2);
  if (onEachSide <= 0) return ink;
  const inner = strength.cut(
    Math.max(box.left - 1, 0),
    Math.max(box.top - 1, 0),
    Math.min(box.right + 1, strength.width),
    Math.min(box.bottom + 1, strength.height),
  );
  const wider = extremeAt(inner.padded(onEachSide, onEachSide), ellipse(2 * onEachSide + 1), { largest: true });
  return { strength: wider, box: boxAbove(wider, EDGE) };
}

/** The box around the pixels above a level. */
function boxAbove({ width, height, data }, level) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  const threshold = Math.fround(level);
  for (let i = 0; i < data.length; i++) {
    if (!(data[i] > threshold)) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x + 1);
    box.top = Math.min(box.top, y);
    box.bottom = y + 1;
  }
  return box;
}

/** The glyph sheared upright by its second moments; null if it does not lean to the side. */
export function deslant(glyph) {
  const { m00, m01, mu11, mu02 } = moments(glyph);
  if (!(mu02 > 0)) return null;
  const slant = -mu11 / mu02;
  if (Math.abs(slant) < MIN_SLANT) return null;
  const upright = sheared(glyph.padded(FIELD_PX, 0), slant, (-slant * m01) / m00);
  const box = boxAbove(upright, EDGE);
  return box.right > box.left ? normalise({ strength: upright, box }) : null;
}

/** The cut-out on an empty field, its centre of mass at the centre. */
function centre(cut) {
  const { m00, m10, m01 } = moments(cut);
  const left = clamp(roundHalfEven(CENTRE - m10 / m00), 0, FIELD_PX - cut.width);
  const top = clamp(roundHalfEven(CENTRE - m01 / m00), 0, FIELD_PX - cut.height);
  const field = Plane.floats(FIELD_PX, FIELD_PX);
  for (let y = 0; y < cut.height; y++) {
    field.data.set(cut.data.subarray(y * cut.width, (y + 1) * cut.width), (top + y) * FIELD_PX + left);
  }
  return field;
}
