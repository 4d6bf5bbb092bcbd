// A picture of one channel, and arithmetic on it as NumPy has it.

/** `data` holds the rows one after another: a Uint8Array for grey levels and masks, a Float32Array for measurements. */
export class Plane {
  constructor(width, height, data) {
    Object.assign(this, { width, height, data });
  }

  static bytes(width, height) {
    return new Plane(width, height, new Uint8Array(width * height));
  }

  static floats(width, height) {
    return new Plane(width, height, new Float32Array(width * height));
  }

  /** The longer side in pixels. */
  get longest() {
    return Math.max(this.width, this.height);
  }

  /** The shorter side in pixels. */
  get shortest() {
    return Math.min(this.width, this.height);
  }

  /** An empty picture of the same size and type. */
  blank() {
    return new Plane(this.width, this.height, new this.data.constructor(this.data.length));
  }

  /** A picture of the same size whose pixels are `change(value, index)`; bytes unless another type is given. */
  map(change, Type = Uint8Array) {
    const data = new Type(this.data.length);
    for (let i = 0; i < data.length; i++) data[i] = change(this.data[i], i);
    return new Plane(this.width, this.height, data);
  }

  /** The part from (left, top) to (right, bottom), both exclusive. */
  cut(left, top, right, bottom) {
    const part = new Plane(right - left, bottom - top, new this.data.constructor((right - left) * (bottom - top)));
    for (let y = top; y < bottom; y++) {
      part.data.set(this.data.subarray(y * this.width + left, y * this.width + right), (y - top) * part.width);
    }
    return part;
  }

  /** The picture with a margin of zeros on each side. */
  padded(x, y) {
    const wide = new Plane(this.width + 2 * x, this.height + 2 * y, new this.data.constructor((this.width + 2 * x) * (this.height + 2 * y)));
    for (let row = 0; row < this.height; row++) {
      wide.data.set(this.data.subarray(row * this.width, (row + 1) * this.width), (row + y) * wide.width + x);
    }
    return wide;
  }

  /** Rows as columns. */
  transposed() {
    const turned = new Plane(this.height, this.width, new this.data.constructor(this.data.length));
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++) turned.data[x * this.height + y] = this.data[y * this.width + x];
    }
    return turned;
  }

  /** The first and last row, and the first and last column. */
  sides() {
    const { width, height, data } = this;
    const column = (x) => data.constructor.from({ length: height }, (_, y) => data[y * width + x]);
    return [data.slice(0, width), data.slice(-width), column(0), column(width - 1)];
  }
}

/** The nearest integer, ties to the even one: Python's `round`, `np.rint` and OpenCV's `cvRound`. */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Sum, maximum, minimum and mean of an array, which may be too long for `Math.max(...)`. */
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const maximum = (values) => values.reduce((most, value) => (value > most ? value : most), -Infinity);
export const minimum = (values) => values.reduce((least, value) => (value < least ? value : least), Infinity);
export const mean = (values) => sum(values) / values.length;

/** Number of pixels that are not 0. */
export function countNonZero({ data }) {
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) count += 1;
  return count;
}

/** `np.ptp`: the range of the values. */
export const range = (values) => maximum(values) - minimum(values);

/** The value at a rank of the sorted order, counted from 0 (Hoare's selection, 1961). */
function valueAt(values, rank) {
  const work = Float64Array.from(values);
  let [low, high] = [0, work.length - 1];
  while (low < high) {
    const pivot = work[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (work[i] < pivot) i += 1;
      while (work[j] > pivot) j -= 1;
      if (i <= j) {
        const swapped = work[i];
        work[i++] = work[j];
        work[j--] = swapped;
      }
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return work[rank];
}

/** `np.median`. */
export const median = (values) => quantile(values, 0.5);

/** The lower q-quantile: the value at rank `int(q * (n - 1))`. */
export const lowerQuantile = (values, q) => valueAt(values, Math.floor(q * (values.length - 1)));

/** `np.quantile`, interpolated between ranks. */
export function quantile(values, q) {
  const rank = q * (values.length - 1);
  const low = Math.floor(rank);
  const value = valueAt(values, low);
  return rank === low ? value : value + (rank - low) * (valueAt(values, low + 1) - value);
}

/** The values of `plane` where `mask` is not 0. */
export function select(plane, mask) {
  const values = new plane.data.constructor(countNonZero(mask));
  for (let i = 0, next = 0; i < mask.data.length; i++) if (mask.data[i]) values[next++] = plane.data[i];
  return values;
}

/** `cv2.mean` of a plane where a mask is not 0; 0 for an empty mask. */
export function maskedMean(plane, mask) {
  let total = 0;
  let count = 0;
  for (let i = 0; i < plane.data.length; i++) {
    if (mask.data[i]) {
      total += plane.data[i];
      count += 1;
    }
  }
  return count ? total / count : 0;
}

/** Counts of the 256 grey levels where a mask is not 0, each added to those before it. */
export function cumulativeHistogram(plane, mask = null) {
  const counts = new Float64Array(256);
  for (let i = 0; i < plane.data.length; i++) if (!mask || mask.data[i]) counts[plane.data[i]] += 1;
  for (let level = 1; level < 256; level++) counts[level] += counts[level - 1];
  return counts;
}

/** The first level at which a cumulative histogram reaches a fraction of its total. */
export function levelAt(cumulative, fraction) {
  const wanted = Math.fround(fraction * cumulative[255]);
  const level = cumulative.findIndex((count) => count >= wanted);
  return level < 0 ? 256 : level;
}

/** Mask operations on pixels that are 0 or 1. */
export function not(mask) {
  const result = mask.blank();
  for (let i = 0; i < result.data.length; i++) result.data[i] = 1 - mask.data[i];
  return result;
}

export function and(a, b) {
  const result = a.blank();
  for (let i = 0; i < result.data.length; i++) result.data[i] = a.data[i] & b.data[i];
  return result;
}

export function or(a, b) {
  const result = a.blank();
  for (let i = 0; i < result.data.length; i++) result.data[i] = a.data[i] | b.data[i];
  return result;
}

/** The difference, 0 where it would be negative. */
export const subtract = (a, b) => a.map((value, i) => Math.max(value - b.data[i], 0));

/** 1 where a value is above a limit, as float32 has it; else 0. */
export function above({ width, height, data }, limit) {
  const result = Plane.bytes(width, height);
  const threshold = Math.fround(limit);
  for (let i = 0; i < data.length; i++) if (data[i] > threshold) result.data[i] = 1;
  return result;
}
