// Otsu's threshold, distance transform, median and Gaussian blur as OpenCV has them.

import { Plane, above, roundHalfEven } from "./plane.js";

const EPSILON = 1.1920929e-7;

/** 1 where a pixel is above Otsu's threshold, else 0. */
export function otsu(plane) {
  return above(plane, otsuThreshold(plane));
}

/** The level that separates two shades best (Otsu 1979). */
function otsuThreshold({ data }) {
  const counts = new Float64Array(256);
  for (const level of data) counts[level] += 1;
  const scale = 1 / data.length;
  let total = 0;
  for (let level = 0; level < 256; level++) total += level * counts[level];
  total *= scale;
  let [below, belowMean, best, threshold] = [0, 0, 0, 0];
  for (let level = 0; level < 256; level++) {
    const fraction = counts[level] * scale;
    belowMean *= below;
    below += fraction;
    const above = 1 - below;
    if (Math.min(below, above) < EPSILON || Math.max(below, above) > 1 - EPSILON) continue;
    belowMean = (belowMean + level * fraction) / below;
    const aboveMean = (total - below * belowMean) / above;
    const variance = below * above * (belowMean - aboveMean) ** 2;
    if (variance > best) [best, threshold] = [variance, level];
  }
  return threshold;
}

const [STRAIGHT, DIAGONAL] = [Math.round(0.955 * 65536), Math.round(1.3693 * 65536)];

/** The largest distance of a pixel of the mask to one outside it: `cv2.distanceTransform` with DIST_L2 and a 3x3 mask. */
export function largestDistance({ width, height, data }) {
  const stride = width + 2;
  const distance = new Int32Array(stride * (height + 2)).fill(0x1fffffff);
  let largest = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = (y + 1) * stride + x + 1;
      const above = i - stride;
      distance[i] = data[y * width + x]
        ? Math.min(distance[above - 1] + DIAGONAL, distance[above] + STRAIGHT, distance[above + 1] + DIAGONAL, distance[i - 1] + STRAIGHT)
        : 0;
    }
  }
  for (let y = height - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--) {
      const i = (y + 1) * stride + x + 1;
      const below = i + stride;
      if (distance[i] > STRAIGHT) {
        const beside = Math.min(distance[below] + STRAIGHT, distance[i + 1] + STRAIGHT);
        distance[i] = Math.min(distance[i], beside, distance[below + 1] + DIAGONAL, distance[below - 1] + DIAGONAL);
      }
      if (distance[i] > largest) largest = distance[i];
    }
  }
  return largest / 65536;
}

/** The median in a square of an odd `size`; the border is repeated. Huang's moving histogram (1979). */
export function medianBlur(plane, size) {
  const { width, height, data } = plane;
  const radius = size >> 1;
  const middle = (size * size + 1) >> 1;
  const result = plane.blank();
  const clampX = (x) => Math.min(Math.max(x, 0), width - 1);
  for (let y = 0; y < height; y++) {
    const rows = Array.from({ length: size }, (_, i) => Math.min(Math.max(y + i - radius, 0), height - 1) * width);
    const counts = new Int32Array(256);
    for (const row of rows) for (let i = -radius; i <= radius; i++) counts[data[row + clampX(i)]] += 1;
    let [level, below] = [0, 0]; // `below`: pixels darker than `level`
    for (let x = 0; x < width; x++) {
      if (x) {
        const [leaving, entering] = [clampX(x - radius - 1), clampX(x + radius)];
        for (const row of rows) {
          const [out, entered] = [data[row + leaving], data[row + entering]];
          counts[out] -= 1;
          counts[entered] += 1;
          below += (entered < level) - (out < level);
        }
      }
      while (below >= middle) below -= counts[--level];
      while (below + counts[level] < middle) below += counts[level++];
      result.data[y * width + x] = level;
    }
  }
  return result;
}

/** The blur with the 3x3 kernel 1 2 1 in both directions. */
export function blur3(plane) {
  return separable(plane, [0.25, 0.5, 0.25], plane.data instanceof Uint8Array ? (value) => Math.floor(value + 0.5) : null);
}

/** A Gaussian blur of a byte picture with sigma 1: kernel weights of 8 bits that sum to 1. */
export function blurBytes(plane) {
  return separable(plane, fixedKernel(7, 1), (value) => Math.floor(value + 0.5));
}

/** A Gaussian blur of floats, as wide as OpenCV chooses for this sigma. */
export function blurFloats(plane, sigma) {
  return separable(plane, kernel(roundHalfEven(sigma * 8 + 1) | 1, sigma), null);
}

function kernel(size, sigma) {
  const weights = Array.from({ length: size }, (_, i) => Math.exp(-0.5 * ((i - (size >> 1)) / sigma) ** 2));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

function fixedKernel(size, sigma) {
  const exact = kernel(size, sigma).map((weight) => weight * 256);
  const weights = new Array(size);
  let [error, total] = [0, 0];
  for (let i = 0; i < size >> 1; i++) {
    const wanted = exact[i] + error;
    weights[i] = weights[size - 1 - i] = roundHalfEven(wanted);
    error = wanted - weights[i];
    total += 2 * weights[i];
  }
  weights[size >> 1] = 256 - total;
  return weights.map((weight) => weight / 256);
}

/** Rows, then columns; the picture is reflected at its border without repeating the outermost pixels. */
function separable(plane, weights, round) {
  const { width, height } = plane;
  const kernelWeights = Float64Array.from(weights);
  const radius = kernelWeights.length >> 1;
  const across = new Float64Array(width * height);
  const columns = reflected(width, radius);
  const line = new Float64Array(columns.length);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < line.length; i++) line[i] = plane.data[y * width + columns[i]];
    for (let x = 0; x < width; x++) {
      let total = 0;
      for (let i = 0; i < kernelWeights.length; i++) total += line[x + i] * kernelWeights[i];
      across[y * width + x] = total;
    }
  }
  const rows = reflected(height, radius);
  const result = plane.blank();
  const totals = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    totals.fill(0);
    for (let i = 0; i < kernelWeights.length; i++) {
      const [start, weight] = [rows[y + i] * width, kernelWeights[i]];
      for (let x = 0; x < width; x++) totals[x] += across[start + x] * weight;
    }
    for (let x = 0; x < width; x++) result.data[y * width + x] = round ? round(totals[x]) : totals[x];
  }
  return result;
}

/** Indices from -radius to length + radius, reflected into the picture. */
function reflected(length, radius) {
  const period = Math.max(2 * (length - 1), 1);
  return Int32Array.from({ length: length + 2 * radius }, (_, i) => {
    const index = (((i - radius) % period) + period) % period;
    return length === 1 ? 0 : Math.min(index, period - index);
  });
}

/** Moments up to the second order, and the central ones that `deslant` needs. */
export function moments({ width, height, data }) {
  const m = { m00: 0, m10: 0, m01: 0, m11: 0, m02: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = data[y * width + x];
      m.m00 += value;
      m.m10 += x * value;
      m.m01 += y * value;
      m.m11 += x * y * value;
      m.m02 += y * y * value;
    }
  }
  return { ...m, mu11: m.m11 - (m.m10 * m.m01) / m.m00, mu02: m.m02 - (m.m01 * m.m01) / m.m00 };
}

/** The picture sheared: x of the target is `x + slant * y + shift`; linear interpolation, 0 beyond the border. */
export function sheared(plane, slant, shift) {
  const { width, height, data } = plane;
  const result = Plane.floats(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = x - slant * y - shift;
      const left = Math.floor(from);
      const at = (column) => (column < 0 || column >= width ? 0 : data[y * width + column]);
      result.data[y * width + x] = at(left) * (left + 1 - from) + at(left + 1) * (from - left);
    }
  }
  return result;
}
