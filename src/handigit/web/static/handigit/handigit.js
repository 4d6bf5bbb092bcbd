// Reads handwritten digits and numbers in the browser, with the models of the Python package. Nothing leaves the device.
//
//   import { Reader } from "./handigit/handigit.js";
//   const reader = new Reader({ models: "models/" });   // holds digit.onnx, number.onnx, number-second.onnx
//   await reader.digit(file);    // {outcome: "read", text: "7", value: 7, confidence: 0.998, probabilities, ...}
//   await reader.number(canvas); // {outcome: "doubt", text: "1250", raw: "12.50", confidence: 0.84, alternatives, ...}
//   await reader.read(canvas);   // finds out by itself whether it is a digit or a number
//
// A picture is a Blob or File of a format that the browser decodes, an ImageBitmap, a canvas or ImageData. Outcomes are
// those of Python: "read", "doubt", "blank", "not_a_number". A model is loaded when it is first needed.

import { openPage } from "./decode.js";
import { predictDigit } from "./digits.js";
import { DigitEngine, NumberEngine } from "./engine.js";
import { viewsOf } from "./glyph.js";
import { readNumber } from "./numbers.js";
import { makeStrip } from "./strip.js";

const BLANK_DIGIT = {
  kind: "digit", outcome: "blank", value: null, text: "", raw: "", confidence: 0, box: null, seen: null,
  probabilities: new Array(10).fill(0.1),
};

export class Reader {
  #models;
  #targetError;
  #engines = new Map();

  /** `models`: the address of the models' folder. `targetError`: the wanted fraction of errors among those `read`. */
  constructor({ models, targetError = 0.01 }) {
    if (!(targetError > 0 && targetError < 1)) {
      throw new RangeError(`targetError = ${targetError} is not between 0 and 1; 0.01 means one wrong in a hundred`);
    }
    this.#models = new URL(models, document.baseURI);
    this.#targetError = targetError;
  }

  /** Load the digit model, or all of them, before the first picture needs them. */
  async prepare({ numbers = true } = {}) {
    await this.#engine("digit", DigitEngine);
    if (numbers) await this.#numberEngines();
  }

  /** Read a picture of one digit. */
  async digit(picture) {
    const { page, scale } = await openPage(picture);
    return this.#digitOn(page, scale);
  }

  /** Read a crop of one number. */
  async number(picture) {
    const { page } = await openPage(picture);
    return this.#numberOn(page);
  }

  /** Read a drawing of a digit or a number, whichever it is. */
  async read(picture) {
    const { page, scale } = await openPage(picture);
    const number = await this.#numberOn(page);
    if (isSurelyNumber(number)) return number;
    const digit = await this.#digitOn(page, scale);
    return isNumber(digit, number) ? number : digit;
  }

  async #digitOn(page, scale) {
    const views = viewsOf(page);
    if (!views.found && !views.frame) return BLANK_DIGIT;
    const engine = await this.#engine("digit", DigitEngine);
    const prediction = await predictDigit(engine, views);
    if (!prediction) return BLANK_DIGIT;
    const { card } = engine;
    const probabilities = [...prediction.probs];
    const confidence = Math.max(...probabilities);
    const isDigit = confidence >= card.digit_floor;
    const outcome = !isDigit ? "not_a_number" : confidence >= card.threshold(this.#targetError) ? "read" : "doubt";
    const value = isDigit ? probabilities.indexOf(confidence) : null;
    const text = isDigit ? String(value) : "";
    const { left, top, right, bottom } = prediction.box;
    const box = [left, top, right, bottom].map((side) => Math.round(side * scale));
    return { kind: "digit", outcome, value, text, raw: text, confidence, probabilities, box, seen: prediction.glyph };
  }

  async #numberOn(page) {
    const strip = makeStrip(page);
    const [first, second] = await this.#numberEngines();
    return { kind: "number", ...(await readNumber(first, second, page, strip, this.#targetError)), seen: strip.ink };
  }

  /** The number model and, if its card was calibrated with one, the second. */
  async #numberEngines() {
    const first = await this.#engine("number", NumberEngine);
    return [first, first.card.combination ? await this.#engine("number-second", NumberEngine) : null];
  }

  #engine(name, Kind) {
    if (!this.#engines.has(name)) {
      const loading = Kind.load(new URL(`${name}.onnx`, this.#models));
      loading.catch(() => this.#engines.delete(name)); // so that the next picture tries again
      this.#engines.set(name, loading);
    }
    return this.#engines.get(name);
  }
}

/** Whether a drawing is a number rather than one digit: the number model counts digits reliably. */
const isNumber = (digit, number) => isSurelyNumber(number) || (hasSeveralCharacters(number) && digit.outcome !== "read");

/** Whether it is a number, whatever the digit model says. */
const isSurelyNumber = (number) => hasSeveralCharacters(number) && number.outcome === "read";

const hasSeveralCharacters = ({ text, raw }) => text.length >= 2 || raw !== text;
