// Strokes of a pen: what was drawn, taken back, and painted. It knows no pointers and no page.

/** How much wider a pen's pressure (0..1) makes the line; 1 for what cannot feel pressure. */
export const swell = (pressure) => (pressure === null ? 1 : 0.5 + pressure);

export class Strokes {
  #strokes = [];

  /** `pen`: width of the line; all lengths are shares of the pad's height, so that a pad may change its size. */
  begin(pen, point) {
    this.#strokes.push({ pen, points: [point] });
  }

  /** Points are [x, y, pressure]; one on the same spot says nothing new. */
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

  /** Paint all of it on a canvas' context whose height in pixels is `height`. */
  paint(context, height, ink) {
    context.strokeStyle = context.fillStyle = ink;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.#strokes) paintStroke(context, height, stroke);
  }
}

function paintStroke(context, height, { pen, points }) {
  const at = points.map(([x, y, pressure]) => [x * height, y * height, pen * height * swell(pressure)]);
  const [x, y, width] = at[0];
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
  pieces(at).forEach(({ from, over, to, width: wide }) => {
    context.lineWidth = wide;
    context.beginPath();
    context.moveTo(...from);
    context.quadraticCurveTo(...over, ...to);
    context.stroke();
  });
}

/** A smooth line through points [x, y, width]: curves from middle to middle, each over the point between. */
export function pieces(points) {
  const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const found = [];
  let from = middle(points[0], points[0]);
  for (let i = 1; i < points.length; i++) {
    const [x, y, width] = points[i];
    const to = middle(points[i], points[i + 1] ?? points[i]);
    found.push({ from, over: [x, y], to, width });
    from = to;
  }
  return found;
}
