// Straight thin runs of ink, near-horizontal and near-vertical. A port of `handigit.images.straight_lines`.

import { drawLine } from "./drawing.js";
import { closed, dilate, opened } from "./morphology.js";
import { Plane, and, maximum, mean, minimum, not, roundHalfEven } from "./plane.js";
import { connectedParts } from "./regions.js";

export const SMALL_PX = 64;

/** A straight segment: across = offset + slope * along, from `start` to `end`; along is x if `level`, else y. */
export class Segment {
  constructor(fields) {
    Object.assign(this, fields);
  }

  /** The least-squares segment through these pixels, with their average thickness; null for a point. */
  static fit(along, across, level) {
    if (!along.length) return null;
    const [start, end] = [minimum(along), maximum(along)];
    if (start === end) return null;
    const [x, y] = [mean(along), mean(across)];
    let [covariance, variance] = [0, 0];
    along.forEach((value, i) => {
      covariance += (value - x) * (across[i] - y);
      variance += (value - x) ** 2;
    });
    const slope = covariance / variance;
    return new Segment({ slope, offset: y - slope * x, start, end, thicknessPx: Math.ceil(along.length / (end - start + 1)), level });
  }

  get length() {
    return this.end - this.start;
  }

  /** The segment extended from edge to edge of a picture. */
  spanning({ width, height }) {
    return new Segment({ ...this, start: 0, end: (this.level ? width : height) - 1 });
  }

  /** Set the segment's pixels to 1, in place, `marginPx` thicker than it is. */
  draw(canvas, marginPx) {
    const at = (along) => {
      const across = roundHalfEven(this.offset + this.slope * along);
      return this.level ? [along, across] : [across, along];
    };
    drawLine(canvas, at(this.start), at(this.end), this.thicknessPx + marginPx);
  }
}

/** The runs in one direction: `boxes[i]` is around the pixels whose label is i + 1; `pixels`: all that may belong to one. */
class Segments {
  constructor(pixels, labels, boxes, level) {
    Object.assign(this, { pixels, labels, boxes, level });
  }

  /** A run's pixels: coordinates along its direction, and across. */
  coordinates(number) {
    const { left, top, right, bottom } = this.boxes[number];
    const [columns, rows] = [[], []];
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const i = y * this.pixels.width + x;
        if (this.labels[i] !== number + 1 || !this.pixels.data[i]) continue;
        columns.push(x);
        rows.push(y);
      }
    }
    return this.level ? [columns, rows] : [rows, columns];
  }
}

/** The near-horizontal and the near-vertical thin runs. */
export function findSegments(mask, maxThicknessPx) {
  const level = findLevel(mask, maxThicknessPx);
  const turned = findLevel(mask.transposed(), maxThicknessPx);
  const labels = new Plane(turned.pixels.width, turned.pixels.height, turned.labels).transposed().data;
  const boxes = turned.boxes.map(({ left, top, right, bottom }) => ({ left: top, top: left, right: bottom, bottom: right }));
  return [level, new Segments(turned.pixels.transposed(), labels, boxes, false)];
}

/** The near-horizontal thin runs up to about 5 degrees, consecutive ones joined. */
function findLevel(mask, maxThicknessPx) {
  const { width } = mask;
  const slack = mask.longest > SMALL_PX ? 2 : 0;
  const joined = slack ? dilate(mask, 1, 1 + slack) : mask;
  const run = Math.max(Math.floor(width / 25), 8);
  let runs = opened(joined, run, 1);
  const thick = opened(runs, 1, maxThicknessPx + 1 + slack, [0, 0]);
  runs = and(runs, not(dilate(thick, 5, 5)));
  const rest = and(mask, not(thick));
  if (!runs.data.some(Boolean)) return new Segments(rest, new Int32Array(mask.data.length), [], true);
  const linked = dilate(closed(runs.padded(run, 0), 2 * run + 1, 1).cut(run, 0, run + width, mask.height), 3, 3);
  const { labels, parts } = connectedParts(linked);
  const boxes = parts.map((part) => ({ left: part.left, top: part.top, right: part.left + part.width, bottom: part.top + part.height }));
  return new Segments(rest, labels, boxes, true);
}
