// A picture with labelled boxes: zoom, pan, select by pointer or keyboard.
//
//   const view = new Boxes(host, (key) => …);   // called on click or Enter; host as in read.html
//   await view.show(address, getItems);         // getItems() returns [{ key, box, text, outcome, name }] once the picture is decoded
//   view.update(item);                          // add or replace one
//   view.remove(key);
//   view.select(key, { focus });                // highlight and scroll into view
//   view.attach(element, key);                  // place an element below a box
//   await view.selectArea();                    // a box that the user draws, null if cancelled

import { AreaSelection } from "./area_selection.js";
import { makeSvg, rectOf } from "./dom.js";

const MAX_ZOOM = 16;
const MAX_ENLARGEMENT = 3;
const ARROW_STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** The scroll position that keeps `point` in place while the content is scaled by `ratio`. */
export const scrollAfterZoom = (scroll, point, ratio) => (scroll + point) * ratio - point;

/** The baseline of a box's label: above the box, or below it at the top edge; `unit` is one screen pixel. */
export const labelPosition = ([left, top, , bottom], unit) => (top > 20 * unit ? [left, top - 5 * unit] : [left, bottom + 17 * unit]);

/** The initial width of a picture: the viewer's, but small pictures are enlarged at most three times. */
export const initialWidth = (natural, available) => Math.min(available, MAX_ENLARGEMENT * natural);

export class Boxes {
  #groups = new Map();
  #zoom = 1;
  #isReady = false;
  #decoded = null;
  #selection = null;

  constructor(host, onPick) {
    this.onPick = onPick;
    [this.viewer, this.sheet, this.image, this.overlay] = [".viewer", ".sheet", "img", "svg"].map((selector) => host.querySelector(selector));
    host.addEventListener("click", ({ target: { dataset } }) => dataset.zoom && this.zoomBy(Number(dataset.zoom) || 1 / this.#zoom));
    this.viewer.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.viewer.addEventListener("pointerdown", (event) => this.#startPan(event));
    new ResizeObserver(() => this.#resize()).observe(this.viewer);
  }

  async show(address, getItems) {
    this.#isReady = false;
    this.#groups.clear();
    this.overlay.replaceChildren();
    this.sheet.replaceChildren(this.image, this.overlay);
    this.image.src = address;
    this.#decoded = this.image.decode();
    await this.#decoded;
    this.overlay.setAttribute("viewBox", `0 0 ${this.image.naturalWidth} ${this.image.naturalHeight}`);
    this.#isReady = true;
    getItems().forEach((item) => this.update(item));
    this.zoomBy(1 / this.#zoom);
  }

  update({ key, box, text, outcome, name }) {
    if (!box || !this.#isReady) return; // `show` adds it, in reading order
    const area = { ...rectOf(box), rx: 2 };
    const old = this.#groups.get(key)?.group;
    const tabindex = old?.getAttribute("tabindex") ?? (this.#groups.size ? -1 : 0);
    const group = makeSvg(
      `g.box.${outcome}`,
      { role: "button", tabindex, "aria-label": name, onclick: () => this.onPick(key), onkeydown: (event) => this.#key(event, key) },
      makeSvg("rect.hit-area", area),
      makeSvg("rect.edge", area),
      makeSvg("text", {}, text),
    );
    if (old) old.replaceWith(group);
    else this.overlay.append(group);
    this.#groups.set(key, { group, box });
    this.#label(group, box);
  }

  select(key, { focus = false } = {}) {
    for (const [other, { group, box }] of this.#groups) {
      const isSelected = other === key;
      group.classList.toggle("selected", isSelected);
      group.setAttribute("tabindex", isSelected ? 0 : -1);
      if (isSelected) this.#reveal(box);
      if (isSelected && focus) group.focus({ preventScroll: true });
    }
  }

  attach(element, key) {
    const [left, , , bottom] = this.#groups.get(key).box;
    this.sheet.append(element);
    element.style.left = `min(${(100 * left) / this.image.naturalWidth}%, max(0px, 100% - ${element.offsetWidth}px))`;
    element.style.top = `${(100 * bottom) / this.image.naturalHeight}%`;
  }

  remove(key) {
    this.#groups.get(key)?.group.remove();
    this.#groups.delete(key);
  }

  /** A box [left, top, right, bottom] in picture pixels, dragged or moved by keys; null if cancelled. */
  async selectArea() {
    this.cancelSelection();
    await this.#decoded;
    return new Promise((resolve) => {
      this.#selection = new AreaSelection(this.overlay, this.image, (box) => {
        this.#selection = null;
        resolve(box);
      });
    });
  }

  cancelSelection() {
    this.#selection?.finish(null);
  }

  has(key) {
    return this.#groups.has(key);
  }

  /** [x, y] is the fixed point in the viewer; by default its centre. */
  zoomBy(factor, [x, y] = [this.viewer.clientWidth / 2, this.viewer.clientHeight / 2]) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.#zoom * factor));
    const { scrollLeft, scrollTop } = this.viewer;
    const ratio = zoom / this.#zoom;
    this.#zoom = zoom;
    this.#resize();
    this.viewer.scrollTo(scrollAfterZoom(scrollLeft, x, ratio), scrollAfterZoom(scrollTop, y, ratio));
  }

  get #unit() {
    return this.image.naturalWidth / (this.image.clientWidth || 1);
  }

  #resize() {
    this.sheet.style.width = `${this.#zoom * initialWidth(this.image.naturalWidth, this.viewer.clientWidth)}px`;
    this.overlay.style.setProperty("--unit", this.#unit);
    for (const { group, box } of this.#groups.values()) this.#label(group, box);
  }

  #label(group, box) {
    ["x", "y"].forEach((axis, i) => group.lastChild.setAttribute(axis, labelPosition(box, this.#unit)[i]));
  }

  #reveal([left, top, right, bottom]) {
    const centre = (low, high, available) => (low + high) / 2 / this.#unit - available / 2;
    this.viewer.scrollTo(centre(left, right, this.viewer.clientWidth), centre(top, bottom, this.viewer.clientHeight));
  }

  #key(event, key) {
    const keys = [...this.#groups.keys()];
    const step = ARROW_STEPS[event.key];
    if (event.key === "Enter" || event.key === " ") this.onPick(key);
    else if (step) this.select(keys[(keys.indexOf(key) + step + keys.length) % keys.length], { focus: true });
    else return;
    event.preventDefault();
  }

  #wheel(event) {
    if (!event.ctrlKey) return; // a plain wheel scrolls
    event.preventDefault();
    const { left, top } = this.viewer.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 200), [event.clientX - left, event.clientY - top]);
  }

  /** Pan with the mouse; touch scrolls and pinches natively. */
  #startPan(start) {
    if (this.#selection || start.pointerType !== "mouse" || start.target.closest("form")) return;
    const { scrollLeft, scrollTop } = this.viewer;
    const move = ({ clientX, clientY, pointerId }) => {
      const [x, y] = [clientX - start.clientX, clientY - start.clientY];
      if (Math.hypot(x, y) > 5) this.viewer.setPointerCapture(pointerId); // a drag, not a click
      if (this.viewer.hasPointerCapture(pointerId)) this.viewer.scrollTo(scrollLeft - x, scrollTop - y);
    };
    this.viewer.addEventListener("pointermove", move);
    addEventListener("pointerup", () => this.viewer.removeEventListener("pointermove", move), { once: true });
  }
}
