// The ink of the digit on a page, apart from noise, specks, table edges and stray marks. A port of `handigit.images.ink`.

import { dilate } from "./morphology.js";
import { above, lowerQuantile, maskedMean, maximum, median, not, select } from "./plane.js";
import { connectedParts } from "./regions.js";
import { removeRules } from "./rules.js";

const MIN_DARKNESS = 0.08;
const NOISE_MARGIN = 6;
const PEN_FRACTION = 0.3;
const MIN_EVIDENCE = 12;
const MIN_DIGIT_PX = 4;
const SPECK = 0.012;
const MAX_SIMILAR = 12;
const FRAMES_TRIED = 4;
const RULE_FRACTION = 0.5;
const HUGGING_WEIGHT = 0.1;
const WHOLE_SIDE = 0.95;
const LINE = 0.06;
const STROKES = 0.6;
const TIGHT_PARTS = 2;
const CROP = 0.45;
const FEW_PARTS = 3;
const SMALL_PX = 64;

/** {strength, box} of the most likely digit: `strength` 0..1, 0 off it; null where nothing differs from the paper. */
export function findInk(background) {
  const { darkness, noise } = background;
  const pen = penDarkness(background);
  if (pen === null) return null;
  const level = Math.max(PEN_FRACTION * pen, Math.min(NOISE_MARGIN * noise, 0.7 * pen));
  const inked = above(darkness, level);
  const selected = digitOf(removeRules(inked, darkness, RULE_FRACTION * level));
  if (!selected) return null;
  const { digit, box } = selected;
  if (inked.longest > SMALL_PX && evidence(background, inked, digit, box) < MIN_EVIDENCE) return null;
  const near = dilate(digit, 3, 3);
  const scale = Math.fround(1 / pen);
  return { strength: darkness.map((value, i) => Math.min(value * near.data[i] * scale, 1), Float32Array), box };
}

/** Contrast of the ink with the paper around it, in that paper's deviations; 0 where it is not on paper. */
function evidence({ page, darkness }, inked, digit, box) {
  const margin = Math.max(4, Math.floor((box.right - box.left + box.bottom - box.top) / 8));
  const around = [
    Math.max(box.left - margin, 0),
    Math.max(box.top - margin, 0),
    Math.min(box.right + margin, page.width),
    Math.min(box.bottom + margin, page.height),
  ];
  const isBare = not(dilate(inked.cut(...around), 5, 5));
  const beside = select(page.cut(...around), isBare);
  if (!beside.length) return Infinity;
  const ink = maskedMean(page, digit);
  const limit = ink + 0.15 * (maximum(beside) - ink);
  if (beside.filter((value) => value < limit).length / beside.length > 0.25) return 0;
  const bare = select(darkness.cut(...around), isBare);
  const paper = median(bare);
  const deviation = median(bare.map((value) => Math.abs(value - paper))) / 0.674;
  return (maskedMean(darkness, digit) - paper) / (deviation + 0.004);
}

/** The darkness of the pen at its full width; null for bare paper. */
function penDarkness({ darkness, noise }) {
  const inked = select(darkness, above(darkness, Math.max(MIN_DARKNESS, NOISE_MARGIN * noise)));
  return inked.length ? lowerQuantile(inked, 0.9) : null;
}

/** {digit, box}: the strokes of one digit among the connected parts of a mask; null if there are none. */
function digitOf(mask) {
  const { labels, parts } = connectedParts(mask);
  if (!parts.length) return null;
  const picture = { labels, width: mask.width, height: mask.height };
  if (parts.length === 1 && !coversSide(parts, picture)[0]) {
    const isDust = Math.max(parts[0].width, parts[0].height) < Math.max(MIN_DIGIT_PX, SPECK * mask.longest);
    return isDust ? null : { digit: mask, box: boxAround(parts) };
  }
  const selected = selectParts(parts, picture);
  if (!selected.some(Boolean)) return null;
  const digit = selected.every(Boolean) ? mask : mask.map((_, i) => (labels[i] && selected[labels[i] - 1] ? 1 : 0));
  return { digit, box: boxAround(parts.filter((_, i) => selected[i])) };
}

const boxAround = (parts) => ({
  left: Math.min(...parts.map((part) => part.left)),
  top: Math.min(...parts.map((part) => part.top)),
  right: Math.max(...parts.map((part) => part.left + part.width)),
  bottom: Math.max(...parts.map((part) => part.top + part.height)),
});

/** The parts of the digit: the heaviest one away from the edges and its neighbours; none if all are dust. */
function selectParts(parts, picture) {
  const { width, height } = picture;
  const longest = Math.max(width, height);
  const none = parts.map(() => false);
  const others = [isFrame(parts, picture), coversSide(parts, picture), isLineBeside(parts, picture)];
  let inside = parts.map((_, i) => !others.some((found) => found[i]));
  const smallest = Math.max(MIN_DIGIT_PX, SPECK * longest);
  const usable = parts.map((part, i) => Math.max(part.width, part.height) >= smallest && inside[i]);
  if (!usable.some(Boolean)) return none;
  const hugging = isCutToBox(parts.filter((_, i) => usable[i]), picture) ? none : hugsEdge(parts, picture);
  const weight = parts.map((part, i) => {
    const x = (part.left + part.width / 2 - width / 2) / width;
    const y = (part.top + part.height / 2 - height / 2) / height;
    return usable[i] ? part.area * Math.exp(-2 * (x * x + y * y)) * (hugging[i] ? HUGGING_WEIGHT : 1) : 0;
  });
  const heaviest = Math.max(...weight);
  const main = cutOffPart(parts, weight.indexOf(heaviest), (_, i) => hugging[i] && usable[i]);
  if (!hugging[main]) {
    const completing = completes(parts, main);
    inside = inside.map((value, i) => value && (!hugging[i] || completing[i]));
  }
  if (weight.filter((value) => value > 0.5 * heaviest).length > MAX_SIMILAR) return none;
  const counted = parts.map((part, i) => (usable[i] || part.area >= 0.02 * parts[main].area) && inside[i]);
  const fills = Math.max(parts[main].width, parts[main].height) > CROP * longest;
  const [near, piled] = [neighbours(parts, main, fills ? 1 : 0.5), stacked(parts, main, counted, height)];
  return counted.map((value, i) => value && (near[i] || piled[i]));
}

/** Parts that are a box drawn around another, however thick: at least three of its sides are straight. */
function isFrame(parts, { labels, width: pictureWidth }) {
  const side = parts.map((part) => Math.max(part.width, part.height));
  const frames = parts.map(() => false);
  const tried = parts.map((_, i) => i).sort((a, b) => side[b] - side[a]).slice(0, FRAMES_TRIED);
  for (const number of tried) {
    const { left, top, width, height } = parts[number];
    const surrounds = parts.some((part, i) => part.left > left && part.top > top && part.left + part.width < left + width
      && part.top + part.height < top + height && side[i] > 0.35 * side[number]);
    if (!surrounds) continue;
    const isInked = (x, y) => labels[(top + y) * pictureWidth + left + x] === number + 1;
    const [bandX, bandY] = [Math.min(Math.max(width >> 3, 2), width), Math.min(Math.max(height >> 3, 2), height)];
    const covered = (length, breadth, test) => {
      let count = 0;
      for (let along = 0; along < length; along++) {
        for (let across = 0; across < breadth; across++) {
          if (!test(along, across)) continue;
          count += 1;
          break;
        }
      }
      return count / length > 0.8;
    };
    const sides = [
      covered(width, bandY, (x, y) => isInked(x, y)),
      covered(width, bandY, (x, y) => isInked(x, height - 1 - y)),
      covered(height, bandX, (y, x) => isInked(x, y)),
      covered(height, bandX, (y, x) => isInked(width - 1 - x, y)),
    ];
    frames[number] = sides.filter(Boolean).length >= 3;
  }
  return frames;
}

/** Per part, how many pixels of each side of the picture it covers. */
function touching(parts, { labels, width, height }) {
  const counts = parts.map(() => [0, 0, 0, 0]);
  const count = (label, side) => label && (counts[label - 1][side] += 1);
  for (let x = 0; x < width; x++) {
    count(labels[x], 0);
    count(labels[(height - 1) * width + x], 1);
  }
  for (let y = 0; y < height; y++) {
    count(labels[y * width], 2);
    count(labels[y * width + width - 1], 3);
  }
  return counts;
}

/** Parts along the picture's edge, such as tables and cut-off neighbours; strokes only run into it. */
function hugsEdge(parts, picture) {
  return touching(parts, picture).map((counts, i) => counts.reduce((a, b) => a + b) > 0.4 * Math.max(parts[i].width, parts[i].height));
}

/** Parts along a whole side of the picture without filling it: a table, the edge of a shadow. */
function coversSide(parts, picture) {
  const { width, height } = picture;
  return touching(parts, picture).map(([top, bottom, left, right], i) => {
    const covers = Math.max(top, bottom) > WHOLE_SIDE * width || Math.max(left, right) > WHOLE_SIDE * height;
    return covers && !(parts[i].width > 0.7 * width && parts[i].height > 0.7 * height);
  });
}

/** Straight lines from edge to edge that are thicker than rules, beside a larger part: the border of a cell. */
function isLineBeside(parts, { width, height }) {
  const thickest = LINE * Math.max(width, height);
  const isLine = (thickness, length, side, area) => length === side && thickness <= area / length + 1 && thickness <= thickest;
  const found = parts.map((part) => isLine(part.width, part.height, height, part.area) || isLine(part.height, part.width, width, part.area));
  const largest = (wanted) => Math.max(0, ...parts.filter((_, i) => found[i] === wanted).map(({ area }) => area));
  return largest(false) > largest(true) ? found : parts.map(() => false);
}

/** Whether a picture is cut to the box of a few parts, so that those along its edges are strokes of the digit. */
function isCutToBox(parts, { width, height }) {
  if (!parts.length || parts.length > TIGHT_PARTS) return false;
  const { left, top, right, bottom } = boxAround(parts);
  return left === 0 && top === 0 && right === width && bottom === height;
}

/** The part that `main` completes: much larger strokes that the picture's edge cuts off; `main` if there is none. */
function cutOffPart(parts, main, isCandidate) {
  const found = parts.findIndex((part, i) => {
    const isStroke = part.area < STROKES * part.width * part.height;
    return i !== main && isCandidate(part, i) && isStroke && completes(parts, i)[main];
  });
  return found < 0 ? main : found;
}

/** Smaller parts right above or below the main one: the bar of a 5 in a tight crop, but no neighbour. */
function completes(parts, main) {
  const { left, top, width, height, area } = parts[main];
  return parts.map((part) => {
    const overlap = Math.min(part.left + part.width, left + width) - Math.max(part.left, left);
    const gap = Math.max(part.top - (top + height), top - (part.top + part.height));
    return overlap >= 0.6 * part.width && gap <= 0.15 * Math.max(width, height) && part.area < 0.6 * area;
  });
}

/** The few parts of a character that fills its picture, one above the other: a question mark, a colon. */
function stacked(parts, main, counted, height) {
  const { left, width } = parts[main];
  const found = parts.map((part, i) => {
    const overlap = Math.min(part.left + part.width, left + width) - Math.max(part.left, left);
    return counted[i] && overlap >= 0.5 * Math.min(part.width, width);
  });
  const { top, bottom } = boxAround(parts.filter((_, i) => found[i]));
  const isCharacter = counted.filter(Boolean).length <= FEW_PARTS && bottom - top > CROP * height;
  return found.map((value) => value && isCharacter);
}

/** The parts near enough to the main one to be strokes of the same digit; a large one may be `reach` sides away. */
function neighbours(parts, main, reach) {
  const { left, top, width, height, area } = parts[main];
  return parts.map((part) => {
    const gapX = Math.max(part.left - (left + width), left - (part.left + part.width), 0);
    const gapY = Math.max(part.top - (top + height), top - (part.top + part.height), 0);
    return Math.max(gapX, gapY) <= (part.area > 0.15 * area ? reach : 0.15) * Math.max(width, height);
  });
}

