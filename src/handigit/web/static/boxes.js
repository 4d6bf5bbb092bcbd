// A picture with boxes and texts over it, to zoom, to move and to pick from. It knows no readings, only boxes.
//
//   const view = new Boxes(host, (key) => …);   // a box was clicked, or Enter pressed on it; host as in read.html
//   await view.show(address, itemsNow);         // () => [{ key, box: [l, t, r, b], text, outcome, name }], once the picture is there
//   view.update(item);                          // one more, or one that has changed
//   view.select(key, { focus });                // mark it and bring it into sight
//   view.attach(element, key);                  // put an element of yours below its box

import { areaOf, draw } from "./dom.js";

const MOST = 16;
const ENLARGED = 3;
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Where to scroll to, so that what lies under `point` stays there when all becomes `ratio` times as large. */
export const scrolled = (scroll, point, ratio) => (scroll + point) * ratio - point;

/** Where a box's text begins: above it, or below where there is no room; `unit` is one pixel of the screen. */
export const labelPlace = ([left, top, , bottom], unit) => (top > 20 * unit ? [left, top - 5 * unit] : [left, bottom + 17 * unit]);

/** How wide a picture is shown at first: as the room is, but no small picture blown up. */
export const fittingWidth = (natural, room) => Math.min(room, ENLARGED * natural);

export class Boxes {
  #groups = new Map();
  #zoom = 1;
  #isReady = false;

  constructor(host, onPick) {
    this.onPick = onPick;
    [this.viewer, this.sheet, this.image, this.overlay] = [".viewer", ".sheet", "img", "svg"].map((one) => host.querySelector(one));
    host.addEventListener("click", ({ target: { dataset } }) => dataset.zoom && this.zoomBy(Number(dataset.zoom) || 1 / this.#zoom));
    this.viewer.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.viewer.addEventListener("pointerdown", (event) => this.#hold(event));
    new ResizeObserver(() => this.#resize()).observe(this.viewer);
  }

  async show(address, itemsNow) {
    this.#isReady = false;
    this.#groups.clear();
    this.overlay.replaceChildren();
    this.sheet.replaceChildren(this.image, this.overlay);
    this.image.src = address;
    await this.image.decode();
    this.overlay.setAttribute("viewBox", `0 0 ${this.image.naturalWidth} ${this.image.naturalHeight}`);
    this.#isReady = true;
    itemsNow().forEach((item) => this.update(item));
    this.zoomBy(1 / this.#zoom);
  }

  update({ key, box, text, outcome, name }) {
    if (!box || !this.#isReady) return; // it comes with the others, in their order
    const area = { ...areaOf(box), rx: 2 };
    const old = this.#groups.get(key)?.group;
    const tabindex = old?.getAttribute("tabindex") ?? (this.#groups.size ? -1 : 0);
    const group = draw(
      `g.box.${outcome}`,
      { role: "button", tabindex, "aria-label": name, onclick: () => this.onPick(key), onkeydown: (event) => this.#key(event, key) },
      draw("rect.reach", area),
      draw("rect.edge", area),
      draw("text", {}, text),
    );
    if (old) old.replaceWith(group);
    else this.overlay.append(group);
    this.#groups.set(key, { group, box });
    this.#label(group, box);
  }

  select(key, { focus = false } = {}) {
    for (const [other, { group, box }] of this.#groups) {
      const isChosen = other === key;
      group.classList.toggle("chosen", isChosen);
      group.setAttribute("tabindex", isChosen ? 0 : -1);
      if (isChosen) this.#reveal(box);
      if (isChosen && focus) group.focus({ preventScroll: true });
    }
  }

  attach(element, key) {
    const [left, , , bottom] = this.#groups.get(key).box;
    this.sheet.append(element);
    element.style.left = `min(${(100 * left) / this.image.naturalWidth}%, max(0px, 100% - ${element.offsetWidth}px))`;
    element.style.top = `${(100 * bottom) / this.image.naturalHeight}%`;
  }

  has(key) {
    return this.#groups.has(key);
  }

  /** `point`: [x, y] in the viewer that stays where it is; its middle if not given. */
  zoomBy(factor, [x, y] = [this.viewer.clientWidth / 2, this.viewer.clientHeight / 2]) {
    const zoom = Math.min(MOST, Math.max(1, this.#zoom * factor));
    const { scrollLeft, scrollTop } = this.viewer;
    const ratio = zoom / this.#zoom;
    this.#zoom = zoom;
    this.#resize();
    this.viewer.scrollTo(scrolled(scrollLeft, x, ratio), scrolled(scrollTop, y, ratio));
  }

  get #unit() {
    return this.image.naturalWidth / (this.image.clientWidth || 1);
  }

  #resize() {
    this.sheet.style.width = `${this.#zoom * fittingWidth(this.image.naturalWidth, this.viewer.clientWidth)}px`;
    this.overlay.style.setProperty("--unit", this.#unit);
    for (const { group, box } of this.#groups.values()) this.#label(group, box);
  }

  #label(group, box) {
    ["x", "y"].forEach((axis, i) => group.lastChild.setAttribute(axis, labelPlace(box, this.#unit)[i]));
  }

  #reveal([left, top, right, bottom]) {
    const middle = (low, high, room) => (low + high) / 2 / this.#unit - room / 2;
    this.viewer.scrollTo(middle(left, right, this.viewer.clientWidth), middle(top, bottom, this.viewer.clientHeight));
  }

  #key(event, key) {
    const keys = [...this.#groups.keys()];
    const step = STEPS[event.key];
    if (event.key === "Enter" || event.key === " ") this.onPick(key);
    else if (step) this.select(keys[(keys.indexOf(key) + step + keys.length) % keys.length], { focus: true });
    else return;
    event.preventDefault();
  }

  #wheel(event) {
    if (!event.ctrlKey) return; // else it scrolls
    event.preventDefault();
    const { left, top } = this.viewer.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 200), [event.clientX - left, event.clientY - top]);
  }

  /** The mouse takes hold of the picture; fingers move and pinch it by themselves. */
  #hold(start) {
    if (start.pointerType !== "mouse" || start.target.closest("form")) return;
    const { scrollLeft, scrollTop } = this.viewer;
    const move = ({ clientX, clientY, pointerId }) => {
      const [x, y] = [clientX - start.clientX, clientY - start.clientY];
      if (Math.hypot(x, y) > 5) this.viewer.setPointerCapture(pointerId); // no click any longer
      if (this.viewer.hasPointerCapture(pointerId)) this.viewer.scrollTo(scrollLeft - x, scrollTop - y);
    };
    this.viewer.addEventListener("pointermove", move);
    addEventListener("pointerup", () => this.viewer.removeEventListener("pointermove", move), { once: true });
  }
}
