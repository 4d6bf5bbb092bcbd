// Erosion, dilation, opening and closing as OpenCV has them, for bytes and floats.

import { Plane } from "./plane.js";

/** Each pixel is the smallest in a `width` x `height` window; pixels beyond the border are `outside`. */
export function erode(plane, width, height, outside = Infinity) {
  return slide(plane, width, height, outside, (a, b) => a <= b);
}

/** Each pixel is the largest in a `width` x `height` window; pixels beyond the border are `outside`. */
export function dilate(plane, width, height, outside = -Infinity) {
  return slide(plane, width, height, outside, (a, b) => a >= b);
}

export function opened(plane, width, height, outside = [Infinity, -Infinity]) {
  return dilate(erode(plane, width, height, outside[0]), width, height, outside[1]);
}

export function closed(plane, width, height) {
  return erode(dilate(plane, width, height), width, height);
}

/** The window's anchor is its middle, for an even size the pixel after it. */
function slide(plane, width, height, outside, isBetter) {
  const result = new Plane(plane.width, plane.height, plane.data.slice());
  if (width > 1) {
    for (let y = 0; y < plane.height; y++) extreme(result.data, y * plane.width, 1, plane.width, width, outside, isBetter);
  }
  if (height > 1) {
    for (let x = 0; x < plane.width; x++) extreme(result.data, x, plane.width, plane.height, height, outside, isBetter);
  }
  return result;
}

/** In place along one row or column, with a queue of the values that may still become the extreme (Lemire 2006). */
function extreme(data, start, step, length, size, outside, isBetter) {
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = data[start + i * step];
  const queue = new Int32Array(length + size);
  const before = size >> 1;
  const after = size - 1 - before;
  const at = (i) => (i < 0 || i >= length ? outside : values[i]);
  let [head, tail] = [0, 0];
  for (let i = -before; i < length + after; i++) {
    const value = at(i);
    while (tail > head && isBetter(value, at(queue[tail - 1]))) tail -= 1;
    queue[tail++] = i;
    const centre = i - after;
    if (centre < 0) continue;
    while (queue[head] < centre - before) head += 1;
    data[start + centre * step] = at(queue[head]);
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
