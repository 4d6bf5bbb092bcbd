// Connected parts, outlines and polygons as OpenCV has them.

/**
 * The connected parts of a mask in the order of their first pixel: `labels` has 0 for the background and i + 1 for
 * `parts[i]`, which is {left, top, width, height, area}.
 */
export function connectedParts(mask, { connectivity = 8 } = {}) {
  const { width, height, data } = mask;
  const labels = new Int32Array(data.length);
  const parents = [0];
  const root = (label) => {
    let current = label;
    while (parents[current] !== current) current = parents[current] = parents[parents[current]];
    return current;
  };
  const join = (a, b) => {
    const [first, second] = [root(a), root(b)];
    parents[Math.max(first, second)] = Math.min(first, second);
    return Math.min(first, second);
  };
  const isWide = connectivity === 8;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (!data[i]) continue;
      const left = x ? labels[i - 1] : 0;
      const up = y ? labels[i - width] : 0;
      const upLeft = isWide && y && x ? labels[i - width - 1] : 0;
      const upRight = isWide && y && x < width - 1 ? labels[i - width + 1] : 0;
      let label = up || upRight || upLeft || left;
      if (!label) parents.push((label = parents.length));
      else if (up && left && !isWide) label = join(up, left);
      else if (!up && upRight && (upLeft || left)) label = join(upRight, upLeft || left);
      labels[i] = label;
    }
  }
  return measured(labels, parents.map((_, label) => root(label)), width);
}

function measured(labels, roots, width) {
  const numbers = new Int32Array(roots.length);
  const parts = [];
  for (let i = 0; i < labels.length; i++) {
    if (!labels[i]) continue;
    const root = roots[labels[i]];
    const [x, y] = [i % width, Math.floor(i / width)];
    if (!numbers[root]) numbers[root] = parts.push({ left: x, top: y, right: x, bottom: y, area: 0 });
    labels[i] = numbers[root];
    const part = parts[labels[i] - 1];
    part.left = Math.min(part.left, x);
    part.right = Math.max(part.right, x);
    part.bottom = y;
    part.area += 1;
  }
  const boxes = parts.map(({ left, top, right, bottom, area }) => ({ left, top, width: right - left + 1, height: bottom - top + 1, area }));
  return { labels, parts: boxes };
}

// Directions of a step clockwise on the screen, beginning to the right.
const STEPS = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];

/** The outer border of the part with this label, pixel by pixel, from its first pixel in reading order. */
export function outline(labels, label, width, height) {
  const isInside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && labels[y * width + x] === label;
  const start = labels.indexOf(label);
  const first = [start % width, Math.floor(start / width)];
  const points = [first];
  let [x, y] = first;
  let heading = 7; // the pixels above and to the left are outside
  let second = null;
  for (;;) {
    const turn = STEPS.findIndex((_, i) => isInside(x + STEPS[(heading + i) % 8][0], y + STEPS[(heading + i) % 8][1]));
    if (turn < 0) return points;
    const direction = (heading + turn) % 8;
    [x, y] = [x + STEPS[direction][0], y + STEPS[direction][1]];
    const [lastX, lastY] = points.at(-1);
    if (second && lastX === first[0] && lastY === first[1] && x === second[0] && y === second[1]) {
      points.pop();
      return points;
    }
    second ??= [x, y];
    points.push([x, y]);
    heading = (direction + 6) % 8;
  }
}

/** The area inside a polygon of [x, y]. */
export function polygonArea(points) {
  return Math.abs(points.reduce((total, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    return total + x * nextY - nextX * y;
  }, 0)) / 2;
}

/** The length of a closed polygon's border. */
export function polygonLength(points) {
  return points.reduce((total, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    return total + Math.hypot(nextX - x, nextY - y);
  }, 0);
}

/** The convex hull of points (Andrew's monotone chain), clockwise on the screen from the rightmost, lowest point. */
export function convexHull(points) {
  const ordered = [...points].sort(([ax, ay], [bx, by]) => ax - bx || ay - by);
  const turn = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  const chain = (sequence) => {
    const hull = [];
    for (const point of sequence) {
      while (hull.length > 1 && turn(hull.at(-2), hull.at(-1), point) <= 0) hull.pop();
      hull.push(point);
    }
    return hull.slice(0, -1);
  };
  return [...chain([...ordered].reverse()), ...chain(ordered)].reverse();
}

/** A closed polygon with fewer corners, none of the dropped ones farther than `tolerance` away (Douglas & Peucker 1973). */
export function simplified(points, tolerance) {
  const count = points.length;
  const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
  const farthest = (from) => {
    let [best, distance] = [from, 0];
    for (let j = 1; j < count; j++) {
      const candidate = squared(points[(from + j) % count], points[from]);
      if (candidate > distance) [best, distance] = [(from + j) % count, candidate];
    }
    return [best, distance];
  };
  let start = 0;
  let [end, distance] = farthest(start);
  for (let i = 1; i < 3; i++) {
    start = end;
    [end, distance] = farthest(start);
  }
  if (distance <= tolerance ** 2) return [points[start]];
  const corners = [...between(points, start, end, tolerance), ...between(points, end, start, tolerance)];
  return withoutFlatCorners(corners, tolerance);
}

/** The corners from `start` up to, and without, `end`. */
function between(points, start, end, tolerance) {
  const count = points.length;
  const [from, to] = [points[start], points[end]];
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = dx * dx + dy * dy;
  let [split, most] = [-1, 0];
  for (let i = (start + 1) % count; i !== end; i = (i + 1) % count) {
    const [x, y] = [points[i][0] - from[0], points[i][1] - from[1]];
    const along = x * dx + y * dy;
    let distance = (y * dx - x * dy) ** 2;
    if (along < 0) distance = (x * x + y * y) * length;
    else if (along > length) distance = ((points[i][0] - to[0]) ** 2 + (points[i][1] - to[1]) ** 2) * length;
    if (distance > most) [split, most] = [i, distance];
  }
  if (split < 0 || most <= tolerance ** 2 * length) return [from];
  return [...between(points, start, split, tolerance), ...between(points, split, end, tolerance)];
}

/** Corners on nearly straight sides are dropped, never two neighbours. */
function withoutFlatCorners(corners, tolerance) {
  const kept = [];
  let before = corners.at(-1);
  let left = corners.length;
  for (let i = 0; i < corners.length; i++) {
    const corner = corners[i];
    const after = corners[(i + 1) % corners.length];
    const [dx, dy] = [after[0] - before[0], after[1] - before[1]];
    const distance = Math.abs((corner[0] - before[0]) * dy - (corner[1] - before[1]) * dx);
    const ahead = (corner[0] - before[0]) * (after[0] - corner[0]) + (corner[1] - before[1]) * (after[1] - corner[1]);
    const isFlat = distance ** 2 <= 0.5 * tolerance ** 2 * (dx * dx + dy * dy) && dx !== 0 && dy !== 0 && ahead >= 0;
    if (isFlat && left > 2) {
      left -= 1;
      if (i + 1 < corners.length) kept.push(after);
      before = after;
      i += 1;
    } else {
      kept.push(corner);
      before = corner;
    }
  }
  return kept;
}
