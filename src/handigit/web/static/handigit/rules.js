// Printed rules removed from a mask of ink; strokes that cross them stay. A port of `handigit.images.rules`.

import { drawLine } from "./drawing.js";
import { closedAt, dilate } from "./morphology.js";
import { Plane, above, and, countNonZero, mean, not, or, quantile, roundHalfEven, select } from "./plane.js";
import { connectedParts } from "./regions.js";
import { SMALL_PX, Segment, findSegments } from "./straight_lines.js";

const MIN_SIDE_PX = 24;
const SPAN = 0.85;
const RIM_PX = 4;
const MIN_PART = 0.1;
const ALONE = 0.35;
const ALIGNED = 0.05;
const EXTEND_FROM = 0.3;
const WRITTEN = 2;
const PRINTED = 1.3;
const IN_BAND = 0.75;
const CRUMB = 0.05;
const FRAME_THICKNESS = 2;
const BENT = 0.015;
const SHORT_PX = 40;
const SIDE = 0.7;

/** The mask (0 or 1) without rules and frames, which are searched where it is darker than `faint`. */
export function removeRules(mask, darkness, faint) {
  if (mask.shortest < MIN_SIDE_PX || !mayContainRules(mask)) return mask;
  const [level, upright] = findRules(above(darkness, faint));
  const rules = or(level, upright);
  if (!countNonZero(rules)) return mask;
  const printed = quantile(select(darkness, rules), 0.75);
  const written = above(darkness, WRITTEN * printed);
  const dark = select(darkness, and(rules, mask));
  const darkest = PRINTED * Math.max(printed, dark.length ? quantile(dark, 0.75) : 0);
  const removed = and(rules, or(not(written), and(level, upright)));
  const rest = withoutCrumbs(removeKeepingStrokes(mask, removed), countNonZero(level) > 0, countNonZero(upright) > 0);
  return withoutPrint(rest, darkness, removed, darkest);
}

/** A cheap first test: in a small picture, ink at two opposite edges. */
function mayContainRules(mask) {
  if (mask.longest > SMALL_PX) return true;
  const [top, bottom, left, right] = mask.sides().map((side) => side.some((value) => value));
  return (left && right) || (top && bottom);
}

/** The pixels of level and of upright rules. */
function findRules(mask) {
  let [level, upright] = [mask.blank(), mask.blank()];
  if (maySpan(mask)) {
    const [across, down] = findSegments(mask, maxRulePx(mask));
    const [rows, columns] = [spanningRuns(across, mask.width), spanningRuns(down, mask.height)];
    [level, upright] = [bands(across, rows, rows), bands(down, columns, columns)];
  }
  if (mask.longest <= SMALL_PX) return [level, upright];
  const [tops, sides] = findFrames(mask);
  return [or(level, tops), or(upright, sides)];
}

/** A cheap first test: whether ink reaches an edge of the picture, or almost from edge to edge. */
function maySpan({ width, height, data }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!data[y * width + x]) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), y + 1];
    }
  }
  const free = Math.min(left, top, width - right, height - bottom);
  return free <= RIM_PX || Math.max((right - left + RIM_PX) / width, (bottom - top + RIM_PX) / height) >= SPAN;
}

/** The runs from edge to edge; in a larger picture also the remains of rules that a digit interrupts. */
function spanningRuns({ boxes, level }, side) {
  const extents = boxes.map((box) => (level ? [box.left, box.right] : [box.top, box.bottom]));
  const indices = extents.map((_, n) => n);
  const whole = indices.filter((n) => extents[n][1] - extents[n][0] >= SPAN * side);
  if (side <= SMALL_PX) return new Set(whole);
  const atStart = indices.filter((n) => extents[n][0] <= 1);
  const atEnd = indices.filter((n) => extents[n][1] >= side - 1);
  if (whole.length) return new Set([...whole, ...atStart, ...atEnd]);
  const middles = boxes.map((box) => (level ? (box.top + box.bottom) / 2 : (box.left + box.right) / 2));
  const atLeast = (fraction) => (n) => extents[n][1] - extents[n][0] >= fraction * side;
  const found = new Set([...atStart, ...atEnd].filter(atLeast(ALONE)));
  for (const a of atStart.filter(atLeast(MIN_PART))) {
    for (const b of atEnd.filter(atLeast(MIN_PART))) {
      if (Math.abs(middles[a] - middles[b]) <= ALIGNED * side) found.add(a).add(b);
    }
  }
  return found;
}

/** Maximum thickness of a rule in a picture of this size. */
const maxRulePx = (mask) => Math.max(1, roundHalfEven(mask.longest / 70));

/** The pixels on the straight line through each selected run, as thick as the run and as long. */
function bands(segments, selected, extended) {
  const drawn = Plane.bytes(segments.pixels.width, segments.pixels.height);
  const side = segments.level ? drawn.width : drawn.height;
  for (const number of selected) {
    const segment = Segment.fit(...segments.coordinates(number), segments.level);
    if (!segment) continue;
    const isExtended = extended.has(number) && segment.length >= EXTEND_FROM * side;
    (isExtended ? segment.spanning(drawn) : segment).draw(drawn, 2);
  }
  return and(drawn, segments.pixels);
}

/** The level and the upright sides of boxes, which are printed thicker than rules. */
function findFrames(mask) {
  const [across, down] = findSegments(mask, FRAME_THICKNESS * maxRulePx(mask));
  const [rows, columns] = [new Set(), new Set()];
  if (across.boxes.length && down.boxes.length) {
    const shortest = 0.1 * mask.longest;
    for (const { left, top, width, height } of connectedParts(mask).parts) {
      if (Math.min(width, height) < shortest) continue;
      addSides({ left, top, right: left + width, bottom: top + height }, across, down, rows, columns);
    }
  }
  return [bands(across, rows, new Set()), bands(down, columns, new Set())];
}

/** Add the runs that are sides of the box, if at least three of its four sides are drawn. */
function addSides(frame, across, down, rows, columns) {
  const [width, height] = [frame.right - frame.left, frame.bottom - frame.top];
  const [bandX, bandY] = [0.2 * width, 0.2 * height];
  const sides = { top: [], bottom: [], left: [], right: [] };
  across.boxes.forEach((box, number) => {
    if (box.right - box.left < SIDE * width || !overlaps(box, frame) || !isStraight(across, number)) return;
    if (box.bottom <= frame.top + bandY) sides.top.push(number);
    else if (box.top >= frame.bottom - bandY) sides.bottom.push(number);
  });
  down.boxes.forEach((box, number) => {
    if (box.bottom - box.top < SIDE * height || !overlaps(box, frame) || !isStraight(down, number)) return;
    if (box.right <= frame.left + bandX) sides.left.push(number);
    else if (box.left >= frame.right - bandX) sides.right.push(number);
  });
  if (Object.values(sides).filter((side) => side.length).length < 3) return;
  for (const number of [...sides.top, ...sides.bottom]) rows.add(number);
  for (const number of [...sides.left, ...sides.right]) columns.add(number);
}

/** Whether a run lies along one straight segment, as a side of a frame does and the loops of an 8 do not. */
function isStraight(segments, number) {
  const [along, across] = segments.coordinates(number);
  const segment = Segment.fit(along, across, segments.level);
  if (!segment) return false;
  const squares = along.map((value, i) => (across[i] - segment.offset - segment.slope * value) ** 2);
  const bent = Math.sqrt(Math.max(0, mean(squares) - segment.thicknessPx ** 2 / 12));
  return bent <= BENT * Math.max(segment.length, SHORT_PX);
}

const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** The mask without the rules, except where a stroke continues on both sides, in any of eight directions. */
function removeKeepingStrokes(mask, rules) {
  const rest = and(mask, not(rules));
  const length = 2 * ((maxRulePx(mask) + 5) >> 1) + 1;
  const bridged = directions(length).reduce((all, offsets) => or(all, closedAt(rest, offsets)), rest);
  return and(mask, bridged);
}

/** The mask without loose remains of removed rules; upright ones only if short, because a 1 is upright too. */
function withoutCrumbs(mask, level, upright) {
  const { labels, parts } = connectedParts(mask);
  const thickest = maxRulePx(mask);
  const kept = parts.map(({ width, height }) => {
    const isFlat = height <= thickest && width > 3 * height;
    const isThin = width <= thickest && height > 3 * width && height < 0.05 * mask.longest;
    return !((level && isFlat) || (upright && isThin));
  });
  return mask.map((_, i) => (labels[i] && kept[labels[i] - 1] ? 1 : 0));
}

/** The mask without print as pale as the rules: ticks of combs, pieces of rules, and crumbs beside them. */
function withoutPrint(mask, darkness, rules, darkest) {
  const { labels, parts } = connectedParts(mask);
  const thickest = maxRulePx(mask) + 1;
  const near = dilate(rules, 5, 5);
  const beside = new Set(labels.filter((_, i) => near.data[i]));
  const kept = parts.map((part, index) => {
    const longer = Math.max(part.width, part.height);
    const isCrumb = beside.has(index + 1) && longer <= CRUMB * mask.longest;
    if (!isCrumb && part.area > (longer * thickest) / IN_BAND) return true;
    const pixels = pixelsOf(labels, index + 1, part, mask.width);
    if (!isCrumb && !isThinLine(part, pixels, thickest)) return true;
    return quantile(pixels.map(({ x, y }) => darkness.data[y * mask.width + x]), 0.75) > darkest;
  });
  return mask.map((_, i) => (labels[i] && kept[labels[i] - 1] ? 1 : 0));
}

function pixelsOf(labels, label, { left, top, width, height }, stride) {
  const pixels = [];
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) if (labels[y * stride + x] === label) pixels.push({ x, y });
  }
  return pixels;
}

/** Whether a part is one level or upright line, but for a bit of the rule that a tick stands on. */
function isThinLine({ left, top, width, height }, pixels, thickestPx) {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  const counts = new Array(shorter).fill(0);
  for (const { x, y } of pixels) counts[height > width ? x - left : y - top]++;
  const bands = counts.map((_, start) => counts.slice(start, start + thickestPx).reduce((sum, count) => sum + count, 0));
  const isLong = longer > 3 * Math.min(shorter, thickestPx) && longer > 2 * shorter;
  return isLong && Math.max(...bands) >= IN_BAND * pixels.length;
}

/** The offsets of straight segments of an odd length through the middle of a square, in eight directions. */
export function directions(lengthPx) {
  const middle = lengthPx >> 1;
  return [[0, 2], [1, 2], [2, 2], [2, 1], [2, 0], [2, -1], [2, -2], [1, -2]].map(([across, down]) => {
    const square = Plane.bytes(lengthPx, lengthPx);
    const [x, y] = [Math.floor((across * middle) / 2), Math.floor((down * middle) / 2)];
    drawLine(square, [middle - x, middle - y], [middle + x, middle + y], 1);
    return [...square.data.keys()].filter((i) => square.data[i]).map((i) => [(i % lengthPx) - middle, Math.floor(i / lengthPx) - middle]);
  });
}
