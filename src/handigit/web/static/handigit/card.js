// A model's card, read from the metadata of its ONNX file. A port of `handigit.card`.

import { clamp } from "./plane.js";

const METADATA_KEY = "handigit.card";
const METADATA_FIELD = 14; // of onnx.ModelProto: entries of a key (1) and a value (2)

export class Card {
  constructor(fields) {
    const defaults = { temperature: 1, steepness: 1, shift: 0, thresholds: [], digit_floor: 0, combination: null };
    Object.assign(this, defaults, fields);
  }

  /** The card of an ONNX file. */
  static of(bytes) {
    for (const entry of fieldsOf(bytes)) {
      if (entry.number !== METADATA_FIELD) continue;
      const [key, value] = [...fieldsOf(entry.value)].map((field) => new TextDecoder().decode(field.value));
      if (key === METADATA_KEY) return new Card(JSON.parse(value));
    }
    throw new Error("the model has no card; write it with `handigit export`");
  }

  /** The calibrated confidence in a number of this probability, both 0..1. */
  confidence(probability) {
    const p = clamp(probability, 1e-9, 1 - 1e-9);
    return 1 / (1 + Math.exp(-(this.steepness * Math.log(p / (1 - p)) + this.shift)));
  }

  /** The probability that a text with these features is right, by the curve for two models. */
  combinedConfidence(features) {
    const { intercept, coefficients } = this.combination;
    const score = Object.entries(coefficients).reduce((total, [name, weight]) => total + weight * features[name], intercept);
    return 1 / (1 + Math.exp(-clamp(score, -40, 40)));
  }

  /** The minimum confidence for the outcome `read` at this target error rate. */
  threshold(targetError) {
    const strictEnough = this.thresholds.filter((threshold) => threshold.target_error <= targetError);
    if (strictEnough.length) return strictEnough.reduce((a, b) => (b.target_error > a.target_error ? b : a)).confidence;
    return this.thresholds.length ? Math.max(...this.thresholds.map((threshold) => threshold.confidence)) : 1 - targetError;
  }
}

/** The fields of a Protocol Buffers message: their numbers, and the bytes of those that have a length. */
function* fieldsOf(bytes) {
  let position = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = bytes[position++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (position < bytes.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === 2) {
      const length = varint();
      yield { number, value: bytes.subarray(position, position + length) };
      position += length;
    } else if (kind === 0) varint();
    else position += kind === 1 ? 8 : 4;
  }
}
