// A pad to draw on with mouse, finger or pen. It knows pointers and a canvas, and nothing of what is drawn.
//
//   const pad = new Pad(canvas, { onDraw, onLift });   // while the pen moves; when what stands there has changed
//   pad.pen = 0.07;  pad.shape = 2;                    // width of the line, width of the pad: shares of its height
//   pad.undo();  pad.clear();  pad.isEmpty;  pad.picture(280)   // a PNG so many pixels high, dark on white

import { make } from "./dom.js";
import { Strokes } from "./strokes.js";

export class Pad {
  #strokes = new Strokes();
  #pointer = null;
  #painting = false;
  #shape = 1;
  pen = 0.07;

  constructor(canvas, { onDraw, onLift }) {
    Object.assign(this, { canvas, onDraw, onLift });
    const listen = { pointerdown: this.#down, pointermove: this.#move, pointerup: this.#up, pointercancel: this.#up };
    for (const [name, act] of Object.entries(listen)) canvas.addEventListener(name, act);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(this.#paint).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.#paint);
  }

  get isEmpty() {
    return this.#strokes.count === 0;
  }

  set shape(shape) {
    this.#shape = shape;
    this.canvas.style.aspectRatio = String(shape);
    this.clear();
  }

  undo() {
    if (this.#strokes.undo()) this.#changed();
  }

  clear() {
    this.#strokes.clear();
    this.#changed();
  }

  picture(height) {
    const sheet = make("canvas", { width: Math.round(this.#shape * height), height });
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    this.#strokes.paint(context, height, "#000");
    const [, letters] = sheet.toDataURL().split(","); // `toBlob` waits until the browser is idle
    return new Blob([Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0))], { type: "image/png" });
  }

  #down = (event) => {
    if (this.#pointer !== null || event.button !== 0) return; // a second finger, or the palm
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#strokes.begin(this.pen, this.#point(event));
    this.#soon();
  };

  #move = (event) => {
    if (event.pointerId !== this.#pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    (passed.length ? passed : [event]).forEach((one) => this.#strokes.add(this.#point(one)));
    this.#soon();
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
    this.#soon();
    this.onLift();
  }

  /** Paint once a frame, however many points come. */
  #soon() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(this.#paint);
  }

  #paint = () => {
    this.#painting = false;
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, ...size);
    this.#strokes.paint(context, size[1], getComputedStyle(this.canvas).color);
  };
}
