// Pen strokes: adding points, undo, and painting them as smooth lines.

/** Factor by which pressure (0..1) widens the line; 1 for devices without pressure. */
export const pressureFactor = (pressure) => (pressure === null ? 1 : 0.5 + pressure);

export class Strokes {
  #strokes = [];

  /** `pen` is the line width. All lengths are fractions of the pad's height, so that the pad may be resized. */
  begin(pen, point) {
    this.#strokes.push({ pen, points: [point] });
  }

  /** Append [x, y, pressure] to the last stroke; repeated points are dropped. */
  add(point) {
    const points = this.#strokes.at(-1)?.points;
    const last = points?.at(-1);
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) > 0.001) points.push(point);
  }

  undo() {
    return this.#strokes.pop() !== undefined;
  }

  clear() {
    this.#strokes = [];
  }

  get count() {
    return this.#strokes.length;
  }

  /** The rightmost x of all points, 0 without any. */
  get right() {
    return Math.max(0, ...this.#strokes.flatMap(({ points }) => points.map(([x]) => x)));
  }

  /** Paint on a canvas context that is `height` pixels high. */
  paint(context, height, colour) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.#strokes) paintStroke(context, height, stroke);
  }
}

function paintStroke(context, height, { pen, points }) {
  const scaled = points.map(([x, y, pressure]) => [x * height, y * height, pen * height * pressureFactor(pressure)]);
  const [x, y, width] = scaled[0];
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
  quadraticCurves(scaled).forEach(({ from, control, to, width: lineWidth }) => {
    context.lineWidth = lineWidth;
    context.beginPath();
    context.moveTo(...from);
    context.quadraticCurveTo(...control, ...to);
    context.stroke();
  });
}

/** A smooth line through points [x, y, width]: curves between midpoints, with the points as control points. */
export function quadraticCurves(points) {
  const midpoint = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const curves = [];
  let from = midpoint(points[0], points[0]);
  for (let i = 1; i < points.length; i++) {
    const [x, y, width] = points[i];
    const to = midpoint(points[i], points[i + 1] ?? points[i]);
    curves.push({ from, control: [x, y], to, width });
    from = to;
  }
  return curves;
}
