// Erosion, dilation, opening and closing as OpenCV has them, for bytes and floats.

import { Plane } from "./plane.js";

/** Each pixel is the smallest in a `width` x `height` window; pixels beyond the border are `outside`. */
export const erode = (plane, width, height, outside = Infinity) => slide(plane, width, height, -outside, -1);

/** Each pixel is the largest in a `width` x `height` window; pixels beyond the border are `outside`. */
export const dilate = (plane, width, height, outside = -Infinity) => slide(plane, width, height, outside, 1);

export function opened(plane, width, height, outside = [Infinity, -Infinity]) {
  return dilate(erode(plane, width, height, outside[0]), width, height, outside[1]);
}

export function closed(plane, width, height) {
  return erode(dilate(plane, width, height), width, height);
}

/** The maximum of `sign` times the values; the window's anchor is its middle, for an even size the pixel after it. */
function slide(plane, width, height, outside, sign) {
  const result = new Plane(plane.width, plane.height, plane.data.slice());
  if (width > 1) slideLines(result.data, { count: plane.height, next: plane.width, length: plane.width, step: 1 }, width, outside, sign);
  if (height > 1) slideLines(result.data, { count: plane.width, next: 1, length: plane.height, step: plane.width }, height, outside, sign);
  return result;
}

/** In place along rows or columns: maxima from the left and from the right within blocks of the window's size (van Herk 1992). */
function slideLines(data, { count, next, length, step }, size, outside, sign) {
  const before = size >> 1;
  const total = length + size - 1;
  const [values, fromLeft, fromRight] = [new Float64Array(total).fill(outside), new Float64Array(total), new Float64Array(total)];
  for (let line = 0; line < count; line++) {
    const start = line * next;
    for (let i = 0; i < length; i++) values[before + i] = sign * data[start + i * step];
    for (let first = 0; first < total; first += size) {
      const end = Math.min(first + size, total);
      let most = -Infinity;
      for (let i = first; i < end; i++) fromLeft[i] = most = values[i] > most ? values[i] : most;
      most = -Infinity;
      for (let i = end - 1; i >= first; i--) fromRight[i] = most = values[i] > most ? values[i] : most;
    }
    for (let i = 0; i < length; i++) {
      const last = i + size - 1;
      data[start + i * step] = sign * (fromRight[i] > fromLeft[last] ? fromRight[i] : fromLeft[last]);
    }
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
