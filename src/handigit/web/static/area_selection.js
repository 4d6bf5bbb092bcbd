// Selecting a rectangle on a picture by dragging, or by keyboard: arrows move it, Shift resizes, Enter accepts.

import { makeSvg, rectOf } from "./dom.js";

const MIN_SIDE_PX = 8;
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class AreaSelection {
  /** `onFinish(box)` gets [left, top, right, bottom] in picture pixels, or null if cancelled. */
  constructor(overlay, { naturalWidth: width, naturalHeight: height }, onFinish) {
    Object.assign(this, { overlay, width, height, onFinish });
    this.box = [0.3 * width, 0.42 * height, 0.7 * width, 0.58 * height];
    this.rect = makeSvg("rect.selection", {});
    const label = "Area to read. Arrow keys move it, Shift and arrows resize it, Enter reads it.";
    this.layer = makeSvg("g", { role: "application", tabindex: 0, "aria-label": label, onkeydown: (event) => this.#key(event) },
      makeSvg("rect.selection-layer", { x: 0, y: 0, width, height, onpointerdown: (event) => this.#drag(event) }), this.rect);
    overlay.append(this.layer);
    this.#paint();
    this.layer.focus({ preventScroll: true });
  }

  finish(box) {
    this.layer.remove();
    this.onFinish(box);
  }

  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.overlay.getBoundingClientRect();
    const clamp = (value, limit) => Math.min(Math.max(value, 0), limit);
    return [clamp(((clientX - left) / width) * this.width, this.width), clamp(((clientY - top) / height) * this.height, this.height)];
  }

  #drag(start) {
    start.preventDefault();
    const layer = start.target;
    const [x, y] = this.#point(start);
    layer.setPointerCapture(start.pointerId);
    layer.onpointermove = (event) => {
      const [toX, toY] = this.#point(event);
      this.box = [Math.min(x, toX), Math.min(y, toY), Math.max(x, toX), Math.max(y, toY)];
      this.#paint();
    };
    layer.onpointerup = () => {
      layer.onpointermove = layer.onpointerup = null;
      this.#accept();
    };
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (event.key === "Enter") this.#accept();
    else if (event.key === "Escape") this.finish(null);
    else if (arrow) this.#move(arrow, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move([right, down], isResize) {
    const [dx, dy] = [right * this.width * 0.02, down * this.height * 0.02];
    const [left, top, ...corner] = this.box;
    const end = [Math.min(corner[0] + dx, this.width), Math.min(corner[1] + dy, this.height)];
    const begin = isResize ? [left, top] : [Math.max(left + dx, 0), Math.max(top + dy, 0)];
    if (end[0] - begin[0] >= MIN_SIDE_PX && end[1] - begin[1] >= MIN_SIDE_PX) this.box = [...begin, ...end];
    this.#paint();
  }

  #accept() {
    const box = this.box.map(Math.round);
    if (box[2] - box[0] >= MIN_SIDE_PX && box[3] - box[1] >= MIN_SIDE_PX) this.finish(box);
  }

  #paint() {
    for (const [name, value] of Object.entries(rectOf(this.box))) this.rect.setAttribute(name, value);
  }
}
