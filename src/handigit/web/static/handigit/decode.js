// Picture files, canvases and pixels -> pages: grey, upright, ink dark on light, without the table around a sheet. A port of
// `handigit.images.decode` and `grey`.

import { Plane, maximum, minimum, range, roundHalfEven } from "./plane.js";
import { reduceLarge } from "./polarity.js";
import { cleanPage } from "./sheet.js";

const FAINT = 32;

/**
 * {page, scale}: the page in a Blob, File, ImageBitmap, canvas or ImageData, and the pixels of the picture per pixel of
 * the page; 1 unless it is very large. Files need a format that the browser decodes.
 */
export async function openPage(picture) {
  const grey = greyOf(await pixelsOf(picture));
  const page = cleanPage(reduceLarge(grey));
  return { page, scale: grey.width / page.width };
}

async function pixelsOf(picture) {
  if (picture instanceof ImageData) return picture;
  const isBlob = picture instanceof Blob;
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = isBlob ? await createImageBitmap(picture, how) : picture;
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  if (isBlob) bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Red, green, blue and alpha as grey; a transparent picture on white, or on black where white would hide the drawing. */
function greyOf({ width, height, data }) {
  const grey = Plane.bytes(width, height);
  const alpha = Plane.bytes(width, height);
  for (let i = 0; i < grey.data.length; i++) {
    grey.data[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 32768) >> 16;
    alpha.data[i] = data[4 * i + 3];
  }
  if (minimum(alpha.data) === 255 || maximum(alpha.data) === 0) return grey;
  const onBlack = grey.map((value, i) => roundHalfEven((value * alpha.data[i]) / 255));
  const onWhite = onBlack.map((value, i) => Math.min(value + 255 - alpha.data[i], 255));
  return range(onWhite.data) < FAINT && range(onBlack.data) > FAINT ? onBlack : onWhite;
}
