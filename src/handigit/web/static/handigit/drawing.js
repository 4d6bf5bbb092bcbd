// Lines and convex polygons as OpenCV draws them, in place, with the value 1.

import { roundHalfEven } from "./plane.js";

const ONE = 65536; // coordinates have 16 fractional bits

/** A line from [x, y] to [x, y] with round ends. */
export function drawLine(mask, from, to, thickness) {
  if (thickness <= 1) return thinLine(mask, from, to);
  const [dx, dy] = [from[0] - to[0], to[1] - from[1]];
  const radius = thickness * (ONE / 2);
  const squared = dx * dx + dy * dy;
  if (squared > 0) {
    const scale = (radius + (thickness & 1) * ONE * 0.5) / Math.sqrt(squared);
    const [x, y] = [roundHalfEven(dy * scale), roundHalfEven(dx * scale)];
    const corner = ([px, py], sign) => [px * ONE + sign * x, py * ONE + sign * y];
    fillFixed(mask, [corner(from, 1), corner(from, -1), corner(to, -1), corner(to, 1)], fixedLine);
  }
  for (const centre of [from, to]) disc(mask, centre, Math.floor((radius + ONE / 2) / ONE));
}

/** A convex polygon of whole [x, y], its border included. */
export function fillConvex(mask, points) {
  const border = (target, a, b) => thinLine(target, a.map((c) => c / ONE), b.map((c) => c / ONE));
  fillFixed(mask, points.map(([x, y]) => [x * ONE, y * ONE]), border);
}

function set({ width, height, data }, x, y) {
  if (x >= 0 && y >= 0 && x < width && y < height) data[y * width + x] = 1;
}

function fillRow({ width, height, data }, y, from, to) {
  if (y < 0 || y >= height || to < 0 || from >= width) return;
  data.fill(1, y * width + Math.max(from, 0), y * width + Math.min(to, width - 1) + 1);
}

/** Bresenham's line, from left to right, clipped first, as OpenCV does. */
function thinLine(mask, from, to) {
  const clipped = clipLine(mask.width, mask.height, from, to);
  if (!clipped) return;
  let [[x, y], [endX, endY]] = clipped;
  if (endX < x) [x, y, endX, endY] = [endX, endY, x, y];
  const [dx, dy] = [endX - x, Math.abs(endY - y)];
  const down = endY < y ? -1 : 1;
  const isSteep = dy > dx;
  const [long, short] = isSteep ? [dy, dx] : [dx, dy];
  let error = long - 2 * short;
  for (let i = 0; i <= long; i++) {
    set(mask, x, y);
    const isStep = error < 0;
    error += isStep ? 2 * long - 2 * short : -2 * short;
    if (isSteep ? isStep : true) x += 1;
    if (isSteep ? true : isStep) y += down;
  }
}

/** The part of a line inside a picture; null if there is none (Cohen & Sutherland). */
function clipLine(width, height, [ax, ay], [bx, by]) {
  const [right, bottom] = [width - 1, height - 1];
  const code = (x, y) => (x < 0) + (x > right) * 2 + (y < 0) * 4 + (y > bottom) * 8;
  let [x1, y1, x2, y2] = [ax, ay, bx, by];
  let [c1, c2] = [code(x1, y1), code(x2, y2)];
  if ((c1 & c2) === 0 && (c1 | c2) !== 0) {
    if (c1 & 12) {
      const edge = c1 < 8 ? 0 : bottom;
      x1 += Math.trunc(((edge - y1) * (x2 - x1)) / (y2 - y1));
      y1 = edge;
      c1 = (x1 < 0) + (x1 > right) * 2;
    }
    if (c2 & 12) {
      const edge = c2 < 8 ? 0 : bottom;
      x2 += Math.trunc(((edge - y2) * (x2 - x1)) / (y2 - y1));
      y2 = edge;
      c2 = (x2 < 0) + (x2 > right) * 2;
    }
    if ((c1 & c2) === 0 && (c1 | c2) !== 0) {
      if (c1) {
        const edge = c1 === 1 ? 0 : right;
        y1 += Math.trunc(((edge - x1) * (y2 - y1)) / (x2 - x1));
        x1 = edge;
        c1 = 0;
      }
      if (c2) {
        const edge = c2 === 1 ? 0 : right;
        y2 += Math.trunc(((edge - x2) * (y2 - y1)) / (x2 - x1));
        x2 = edge;
        c2 = 0;
      }
    }
  }
  return (c1 | c2) === 0 ? [[x1, y1], [x2, y2]] : null;
}

/** A line between points with fractional bits. */
function fixedLine(mask, from, to) {
  const clipped = clipLine(mask.width * ONE, mask.height * ONE, from, to);
  if (!clipped) return;
  let [[x, y], [endX, endY]] = clipped;
  const isLevel = Math.abs(endX - x) > Math.abs(endY - y);
  if (isLevel ? endX < x : endY < y) [x, y, endX, endY] = [endX, endY, x, y];
  const [dx, dy] = [endX - x, endY - y];
  set(mask, Math.floor((endX + ONE / 2) / ONE), Math.floor((endY + ONE / 2) / ONE));
  const steps = Math.floor((isLevel ? dx : dy) / ONE);
  const slope = Math.trunc(((isLevel ? dy : dx) * ONE) / ((isLevel ? dx : dy) | 1));
  let [along, across] = isLevel ? [x, y] : [y, x];
  along = Math.floor((along + ONE / 2) / ONE);
  across += ONE / 2;
  for (let i = 0; i <= steps; i++, along += 1, across += slope) {
    const position = Math.floor(across / ONE);
    if (isLevel) set(mask, along, position);
    else set(mask, position, along);
  }
}

/** Fill between the two chains of edges that lead down from the topmost corner. */
function fillFixed(mask, points, drawBorder) {
  const count = points.length;
  points.forEach((point, i) => drawBorder(mask, points[(i + count - 1) % count], point));
  const rowOf = ([, y]) => Math.floor((y + ONE / 2) / ONE);
  const rows = points.map(rowOf);
  const topmost = points.reduce((best, [, y], i) => (y < points[best][1] ? i : best), 0);
  const last = Math.min(Math.max(...rows), mask.height - 1);
  let y = rows[topmost];
  if (count < 3 || Math.max(...rows) < 0 || y >= mask.height) return;
  const edges = [1, count - 1].map((step) => ({ step, index: topmost, end: y, x: -ONE, dx: 0 }));
  let left = count;
  for (; y <= last; y++) {
    for (const edge of edges) {
      if (y < edge.end) continue;
      let from = edge.index;
      let to = (from + edge.step) % count;
      for (; left-- > 0; ) {
        if (rows[to] > y) {
          const height = rows[to] - y;
          const across = (points[to][0] - points[from][0]) * 2 + height;
          Object.assign(edge, { end: rows[to], dx: Math.trunc(across / (2 * height)), x: points[from][0], index: to });
          break;
        }
        from = to;
        to = (to + edge.step) % count;
      }
    }
    if (left < 0) return;
    const [a, b] = edges[0].x <= edges[1].x ? edges : [edges[1], edges[0]];
    fillRow(mask, y, Math.floor((a.x + ONE / 2) / ONE), Math.floor((b.x + ONE / 2) / ONE));
    for (const edge of edges) edge.x += edge.dx;
  }
}

/** A filled circle (Bresenham). */
function disc(mask, [cx, cy], radius) {
  let [error, dx, dy, plus, minus] = [0, radius, 0, 1, (radius << 1) - 1];
  while (dx >= dy) {
    for (const row of [cy - dy, cy + dy]) fillRow(mask, row, cx - dx, cx + dx);
    for (const row of [cy - dx, cy + dx]) fillRow(mask, row, cx - dy, cx + dy);
    dy += 1;
    error += plus;
    plus += 2;
    if (error > 0) {
      error -= minus;
      dx -= 1;
      minus -= 2;
    }
  }
}
