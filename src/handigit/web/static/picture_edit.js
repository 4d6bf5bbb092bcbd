// Cutting and turning a shown picture, for reading it again.

import { make } from "./dom.js";

const JPEG_QUALITY = 0.95;

/** A part of a picture as a PNG; `box` in its pixels. */
export function cutOut(image, [left, top, right, bottom]) {
  const canvas = make("canvas", { width: right - left, height: bottom - top });
  canvas.getContext("2d").drawImage(image, -left, -top);
  return toBlob(canvas, "image/png");
}

/** A picture turned clockwise by a quarter. */
export function turned(image) {
  const canvas = make("canvas", { width: image.naturalHeight, height: image.naturalWidth });
  const context = canvas.getContext("2d");
  context.translate(canvas.width, 0);
  context.rotate(Math.PI / 2);
  context.drawImage(image, 0, 0);
  return toBlob(canvas, "image/jpeg");
}

const toBlob = (canvas, type) => new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
