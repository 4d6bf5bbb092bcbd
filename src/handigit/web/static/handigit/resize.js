// `cv2.resize` with INTER_AREA and INTER_LINEAR, for bytes and floats.

import { Plane, clamp, roundHalfEven } from "./plane.js";

/** Reduce by area averaging; where a side grows, OpenCV interpolates linearly instead, and so does this. */
export function resizeArea(plane, width, height) {
  const [scaleX, scaleY] = [1 / (width / plane.width), 1 / (height / plane.height)];
  if (scaleX < 1 || scaleY < 1) return interpolate(plane, width, height, areaPosition);
  const isWhole = Math.abs(scaleX - roundHalfEven(scaleX)) < 2e-16 && Math.abs(scaleY - roundHalfEven(scaleY)) < 2e-16;
  return isWhole ? averageBlocks(plane, width, height) : averageCells(plane, width, height, scaleX, scaleY);
}

/** Linear interpolation between pixel centres. */
export function resizeLinear(plane, width, height) {
  return interpolate(plane, width, height, centrePosition);
}

/** Each pixel is the mean of a block of whole pixels. */
function averageBlocks(plane, width, height) {
  const [across, down] = [plane.width / width, plane.height / height];
  const round = across === 2 && down === 2 ? (mean) => Math.floor(mean + 0.5) : roundHalfEven;
  const isBytes = plane.data instanceof Uint8Array;
  const result = new Plane(width, height, new plane.data.constructor(width * height));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let total = 0;
      for (let j = 0; j < down; j++) {
        const start = (y * down + j) * plane.width + x * across;
        for (let i = 0; i < across; i++) total += plane.data[start + i];
      }
      const mean = total / (across * down);
      result.data[y * width + x] = isBytes ? round(mean) : mean;
    }
  }
  return result;
}

/** Sums are rounded to 32 bits at each step, in OpenCV's order, so that the bytes are OpenCV's. */
function averageCells(plane, width, height, scaleX, scaleY) {
  const columns = cells(plane.width, width, scaleX);
  const narrow = new Float32Array(width * plane.height);
  for (let y = 0; y < plane.height; y++) {
    const row = y * plane.width;
    for (let x = 0; x < width; x++) {
      let total = 0;
      const { first, weights } = columns[x];
      for (let i = 0; i < weights.length; i++) total = Math.fround(total + Math.fround(plane.data[row + first + i] * weights[i]));
      narrow[y * width + x] = total;
    }
  }
  const isBytes = plane.data instanceof Uint8Array;
  const result = new Plane(width, height, new plane.data.constructor(width * height));
  cells(plane.height, height, scaleY).forEach(({ first, weights }, y) => {
    for (let x = 0; x < width; x++) {
      let total = 0;
      for (let i = 0; i < weights.length; i++) total = Math.fround(total + Math.fround(narrow[(first + i) * width + x] * weights[i]));
      result.data[y * width + x] = isBytes ? roundHalfEven(total) : total;
    }
  });
  return result;
}

/** For each target pixel, the first source pixel and the weights of it and the following ones. */
function cells(source, target, scale) {
  return Array.from({ length: target }, (_, index) => {
    const [start, end] = [index * scale, index * scale + scale];
    const size = Math.min(scale, source - start);
    const last = Math.min(Math.floor(end), source - 1);
    const whole = Math.min(Math.ceil(start), last);
    const weights = [];
    if (whole - start > 1e-3) weights.push(Math.fround((whole - start) / size));
    for (let i = whole; i < last; i++) weights.push(Math.fround(1 / size));
    if (end - last > 1e-3) weights.push(Math.fround(Math.min(end - last, 1, size) / size));
    return { first: whole - (whole - start > 1e-3 ? 1 : 0), weights };
  });
}

function centrePosition(index, scale) {
  const position = Math.fround((index + 0.5) * scale - 0.5);
  const first = Math.floor(position);
  return [first, Math.fround(position - first)];
}

function areaPosition(index, scale) {
  const first = Math.floor(index * scale);
  const rest = Math.fround(index + 1 - (first + 1) / scale);
  return [first, rest <= 0 ? 0 : Math.fround(rest - Math.floor(rest))];
}

function interpolate(plane, width, height, position) {
  if (width === plane.width && height === plane.height) return new Plane(width, height, plane.data.slice());
  const columns = taps(plane.width, width, position);
  const rows = taps(plane.height, height, position, { keepsFraction: true });
  const blend = plane.data instanceof Uint8Array ? blendBytes : blendFloats;
  const result = new Plane(width, height, new plane.data.constructor(width * height));
  for (let y = 0; y < height; y++) blend(plane, rows[y], columns, result.data.subarray(y * width, (y + 1) * width));
  return result;
}

/** The two neighbours of each target pixel and the fraction of the second, which matters to rounding where they are one. */
function taps(source, target, position, { keepsFraction = false } = {}) {
  const scale = 1 / (target / source);
  const last = source - 1;
  return Array.from({ length: target }, (_, index) => {
    const [first, fraction] = position(index, scale);
    const isOne = first < 0 || first >= last;
    return [clamp(first, 0, last), clamp(first + 1, 0, last), isOne && !keepsFraction ? 0 : fraction];
  });
}

function blendFloats({ data, width }, [top, bottom, down], columns, target) {
  columns.forEach(([left, right, across], x) => {
    const upper = data[top * width + left] * (1 - across) + data[top * width + right] * across;
    const lower = data[bottom * width + left] * (1 - across) + data[bottom * width + right] * across;
    target[x] = upper * (1 - down) + lower * down;
  });
}

/** Weights of 11 bits, and the rounding of OpenCV's vector code. */
function blendBytes({ data, width }, [top, bottom, down], columns, target) {
  const [b0, b1] = fixed(down);
  columns.forEach(([left, right, across], x) => {
    const [a0, a1] = fixed(across);
    const upper = data[top * width + left] * a0 + data[top * width + right] * a1;
    const lower = data[bottom * width + left] * a0 + data[bottom * width + right] * a1;
    target[x] = clamp((((b0 * (upper >> 4)) >> 16) + ((b1 * (lower >> 4)) >> 16) + 2) >> 2, 0, 255);
  });
}

const fixed = (fraction) => [roundHalfEven(Math.fround(1 - fraction) * 2048), roundHalfEven(fraction * 2048)];
