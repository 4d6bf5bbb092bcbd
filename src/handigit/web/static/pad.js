// A drawing pad for mouse, finger or pen.
//
//   const pad = new Pad(canvas, { onDraw, onChange });   // while the pen moves; after each change of the strokes
//   pad.pen = 0.07;  pad.aspect = 2;                     // line width and pad width, as fractions of the pad's height
//   pad.undo();  pad.clear();  pad.isEmpty;  pad.picture(280)   // a PNG 280 px high, dark on white

import { make } from "./dom.js";
import { Strokes } from "./strokes.js";

export class Pad {
  #strokes = new Strokes();
  #pointer = null;
  #paintPending = false;
  #aspect = 1;
  pen = 0.07;

  constructor(canvas, { onDraw, onChange }) {
    Object.assign(this, { canvas, onDraw, onChange });
    const handlers = { pointerdown: this.#down, pointermove: this.#move, pointerup: this.#up, pointercancel: this.#up };
    for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(this.#paint).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.#paint);
  }

  get isEmpty() {
    return this.#strokes.count === 0;
  }

  /** Strokes are kept; the picture is as wide as they need where the pad becomes narrower. */
  set aspect(aspect) {
    this.#aspect = aspect;
    this.canvas.style.aspectRatio = String(aspect);
    this.canvas.parentElement.style.setProperty("--aspect", aspect);
    this.#changed();
  }

  undo() {
    if (this.#strokes.undo()) this.#changed();
  }

  clear() {
    this.#strokes.clear();
    this.#changed();
  }

  picture(height) {
    const aspect = Math.max(this.#aspect, this.#strokes.right + 0.05);
    const sheet = make("canvas", { width: Math.round(aspect * height), height });
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    this.#strokes.paint(context, height, "#000");
    const [, base64] = sheet.toDataURL().split(","); // `toBlob` waits until the browser is idle
    return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
  }

  #down = (event) => {
    if (this.#pointer !== null || event.button !== 0) return; // a second finger, or the palm
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#strokes.begin(this.pen, this.#point(event));
    this.#schedulePaint();
  };

  #move = (event) => {
    if (event.pointerId !== this.#pointer) return;
    const coalesced = event.getCoalescedEvents?.() ?? [];
    (coalesced.length ? coalesced : [event]).forEach((point) => this.#strokes.add(this.#point(point)));
    this.#schedulePaint();
    this.onDraw();
  };

  #up = (event) => {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#strokes.add(this.#point(event));
    this.#changed();
  };

  #point({ clientX, clientY, pointerType, pressure }) {
    const { left, top, height } = this.canvas.getBoundingClientRect();
    return [(clientX - left) / height, (clientY - top) / height, pointerType === "pen" ? pressure : null];
  }

  #changed() {
    this.#schedulePaint();
    this.onChange();
  }

  /** Paint once per frame, however many points arrive. */
  #schedulePaint() {
    if (this.#paintPending) return;
    this.#paintPending = true;
    requestAnimationFrame(this.#paint);
  }

  #paint = () => {
    this.#paintPending = false;
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, ...size);
    this.#strokes.paint(context, size[1], getComputedStyle(this.canvas).color);
  };
}
