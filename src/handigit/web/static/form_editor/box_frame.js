// A frame around a box of a picture: drag it to move it, a corner to resize it; or arrow keys, with Shift to resize.

import { ARROWS } from "../area_selection.js";
import { makeSvg, rectOf } from "../dom.js";

const MIN_SIDE_PX = 4;
const STEP = 1 / 400; // of the picture's width
const HANDLE_PX = 9;
const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]]; // which sides of the box meet there

export class BoxFrame {
  /** `onChange(box)` gets [left, top, right, bottom] in picture pixels after each move; Enter and Escape call `onLeave()`. */
  constructor(overlay, { naturalWidth: width, naturalHeight: height }, { box, label, onChange, onLeave }) {
    Object.assign(this, { overlay, limits: [width, height], box, before: box, onChange, onLeave });
    this.rect = makeSvg("rect", { onpointerdown: (event) => this.#drag(event, [0, 1, 2, 3]) });
    this.handles = CORNERS.map((sides) => makeSvg("circle.handle", { onpointerdown: (event) => this.#drag(event, sides) }));
    const help = `${label}. Arrow keys move it, Shift and arrows resize it, Escape takes the moves back.`;
    this.layer = makeSvg("g.box-frame", { role: "application", tabindex: 0, "aria-label": help, onkeydown: (event) => this.#key(event) }, this.rect, ...this.handles);
    overlay.append(this.layer);
    this.#paint();
  }

  focus() {
    this.layer.focus({ preventScroll: true });
  }

  remove() {
    this.layer.remove();
  }

  #drag(start, sides) {
    start.preventDefault();
    start.stopPropagation(); // no panning
    const { target, pointerId } = start;
    const [from, box] = [this.#point(start), this.box];
    target.setPointerCapture(pointerId);
    target.onpointermove = (event) => this.#move(box, sides, this.#point(event).map((place, axis) => place - from[axis]));
    target.onpointerup = () => {
      target.onpointermove = target.onpointerup = null;
      this.onChange(this.box);
    };
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) this.#move(this.box, event.shiftKey ? [2, 3] : [0, 1, 2, 3], arrow.map((side) => side * this.limits[0] * STEP));
    else if (event.key === "Escape") this.box = this.before;
    else if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    this.#paint();
    this.onChange(this.box);
    if (!arrow) this.onLeave();
  }

  /** Move these sides of a box; the whole box stops at the edges of the picture, a side at the opposite one. */
  #move(box, sides, offsets) {
    const [whole, next] = [sides.length === 4, [...box]];
    for (const side of sides) {
      const [axis, other] = [side % 2, box[(side + 2) % 4]];
      const room = whole ? [-box[axis], this.limits[axis] - box[axis + 2]] : [-box[side], this.limits[axis] - box[side]];
      next[side] = box[side] + Math.min(Math.max(offsets[axis], room[0]), room[1]);
      if (!whole) next[side] = side < 2 ? Math.min(next[side], other - MIN_SIDE_PX) : Math.max(next[side], other + MIN_SIDE_PX);
    }
    this.box = next;
    this.#paint();
  }

  #point({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.overlay.getScreenCTM().inverse());
    return [x, y];
  }

  #paint() {
    for (const [name, value] of Object.entries(rectOf(this.box))) this.rect.setAttribute(name, value);
    const radius = HANDLE_PX / (this.overlay.getScreenCTM()?.a || 1);
    this.handles.forEach((handle, index) => {
      const [x, y] = CORNERS[index];
      for (const [name, value] of Object.entries({ cx: this.box[x], cy: this.box[y], r: radius })) handle.setAttribute(name, value);
    });
  }
}
