// ONNX Runtime sessions for the digit model and the number models. A port of `handigit.read.digit_engine` and
// `handigit.read.number_engine`.

import { Card } from "./card.js";
import { FIELD_PX } from "./glyph.js";
import * as ort from "./ort/ort.wasm.min.mjs";
import { STRIP_PX } from "./strip.js";

const MIN_PADDED_PX = 128;
const STRIP_STEP_PX = 32;
const RUNTIME = new URL("ort/", import.meta.url);

let runtime = null;

/** The runtime's WebAssembly, with one thread: with two, a number takes longer on two busy cores. */
async function startRuntime() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = RUNTIME.href;
  const packed = await fetched(new URL("ort-wasm-simd-threaded.wasm.gz", RUNTIME));
  ort.env.wasm.wasmBinary = await new Response(packed.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
  return response;
}

/** Softmax of the logits from `start` to `end`, divided by the temperature. */
function softmax(logits, start, end, temperature) {
  let highest = -Infinity;
  for (let i = start; i < end; i++) highest = Math.max(highest, logits[i] / temperature);
  const powers = Float64Array.from({ length: end - start }, (_, i) => Math.exp(logits[start + i] / temperature - highest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

class Engine {
  constructor(session, card) {
    Object.assign(this, { session, card });
  }

  /** Load the ONNX file at an address. */
  static async load(address) {
    runtime ??= startRuntime();
    const model = new Uint8Array(await (await fetched(address)).arrayBuffer());
    await runtime;
    return new this(await ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 }), Card.of(model));
  }

  async run(data, shape) {
    const { inputNames: [input], outputNames: [output] } = this.session;
    const results = await this.session.run({ [input]: new ort.Tensor("float32", data, shape) });
    return results[output];
  }
}

/** The digit model. */
export class DigitEngine extends Engine {
  /** The probability of each digit for each glyph, calibrated by the card's temperature. */
  async probabilities(glyphs) {
    if (!glyphs.length) return [];
    const size = FIELD_PX * FIELD_PX;
    const batch = new Float32Array(glyphs.length * size);
    glyphs.forEach(({ data }, i) => batch.set(data, i * size));
    const { data } = await this.run(batch, [glyphs.length, 1, FIELD_PX, FIELD_PX]);
    return glyphs.map((_, i) => softmax(data, 10 * i, 10 * (i + 1), this.card.temperature));
  }
}

/** A number model, which reads strips. */
export class NumberEngine extends Engine {
  /** The probability of each class per frame of a strip, as an array per frame. */
  async probabilities({ width, pixels }) {
    const padded = this.paddedWidth(width);
    const input = new Float32Array(STRIP_PX * padded);
    for (let y = 0; y < STRIP_PX; y++) input.set(pixels.data.subarray(y * width, (y + 1) * width), y * padded);
    const { data, dims: [, frames, classes] } = await this.run(input, [1, 1, STRIP_PX, padded]);
    return Array.from({ length: frames }, (_, frame) => softmax(data, frame * classes, (frame + 1) * classes, this.card.temperature));
  }

  /** The width at which a strip is read. */
  paddedWidth(width) {
    return Math.max(MIN_PADDED_PX, Math.ceil(width / STRIP_STEP_PX) * STRIP_STEP_PX);
  }
}
