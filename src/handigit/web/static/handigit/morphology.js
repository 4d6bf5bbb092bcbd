// Erosion, dilation, opening and closing as OpenCV has them. Rectangular windows are for bytes only.

import { Plane, clamp } from "./plane.js";

/** Each pixel is the smallest in a `width` x `height` window; pixels beyond the border are `outside`. */
export const erode = (plane, width, height, outside = Infinity) => slide(plane, width, height, outside, false);

/** Each pixel is the largest in a `width` x `height` window; pixels beyond the border are `outside`. */
export const dilate = (plane, width, height, outside = -Infinity) => slide(plane, width, height, outside, true);

export function opened(plane, width, height, outside = [Infinity, -Infinity]) {
  return dilate(erode(plane, width, height, outside[0]), width, height, outside[1]);
}

export function closed(plane, width, height) {
  return erode(dilate(plane, width, height), width, height);
}

/** The largest or smallest byte in each window; its anchor is its middle, for an even size the pixel after it. */
function slide({ width, height, data }, windowWidth, windowHeight, outside, isLargest) {
  const wide = width + windowWidth - 1;
  const length = wide * (height + windowHeight - 1);
  const values = new Uint8Array((length + 7) & ~3).fill(clamp(outside, 0, 255));
  for (let y = 0; y < height; y++) {
    values.set(data.subarray(y * width, (y + 1) * width), (y + (windowHeight >> 1)) * wide + (windowWidth >> 1));
  }
  const combineTwo = isMask(data) ? combineMasks : combineBytes;
  for (const [step, size] of [[1, windowWidth], [wide, windowHeight]]) {
    let covered = 1; // windows of doubled size until they are large enough
    for (; 2 * covered <= size; covered *= 2) combineTwo(values, covered * step, isLargest);
    if (covered < size) combineTwo(values, (size - covered) * step, isLargest);
  }
  const result = Plane.bytes(width, height);
  for (let y = 0; y < height; y++) result.data.set(values.subarray(y * wide, y * wide + width), y * width);
  return result;
}

function isMask(data) {
  for (let i = 0; i < data.length; i++) if (data[i] > 1) return false;
  return true;
}

/** In place: the larger, or the smaller, of each byte and the one `offset` after it. */
function combineBytes(bytes, offset, isLargest) {
  const end = bytes.length - offset;
  if (isLargest) {
    for (let i = 0; i < end; i++) if (bytes[i + offset] > bytes[i]) bytes[i] = bytes[i + offset];
  } else {
    for (let i = 0; i < end; i++) if (bytes[i + offset] < bytes[i]) bytes[i] = bytes[i + offset];
  }
}

/** As `combineBytes` for bytes that are 0 or 1, four at a time, the first byte of a word being its lowest. */
function combineMasks({ buffer }, offset, isLargest) {
  const words = new Int32Array(buffer);
  const [skip, shift] = [offset >> 2, 8 * (offset & 3)];
  const end = words.length - skip - 1;
  for (let i = 0; i < end; i++) {
    const next = shift ? (words[i + skip] >>> shift) | (words[i + skip + 1] << (32 - shift)) : words[i + skip];
    words[i] = isLargest ? words[i] | next : words[i] & next;
  }
}

/** The offsets [x, y] of an ellipse in a square of an odd side: `cv2.MORPH_ELLIPSE`. */
export function ellipse(side) {
  const radius = side >> 1;
  const offsets = [];
  for (let y = 0 - radius; y <= radius; y++) {
    const reach = Math.round(radius * Math.sqrt((radius * radius - y * y) / (radius * radius)));
    for (let x = 0 - reach; x <= reach; x++) offsets.push([x, y]);
  }
  return offsets;
}

/** The largest, or the smallest, of the pixels at `offsets` from each; those beyond the border do not count. */
export function extremeAt(plane, offsets, { largest }) {
  const { width, height, data } = plane;
  const result = plane.blank();
  result.data.fill(largest ? 0 : 255);
  for (const [dx, dy] of offsets) {
    const [left, right] = [Math.max(0, -dx), Math.min(width, width - dx)];
    for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
      const shift = dy * width + dx;
      for (let i = y * width + left; i < y * width + right; i++) {
        const value = data[i + shift];
        if (largest ? value > result.data[i] : value < result.data[i]) result.data[i] = value;
      }
    }
  }
  return result;
}

/** Closing with any structuring element that is symmetric about its middle. */
export function closedAt(plane, offsets) {
  return extremeAt(extremeAt(plane, offsets, { largest: true }), offsets, { largest: false });
}
