// Crop -> a number: its text, confidence and outcome. A port of `handigit.read.crops` and `numbers`, without boxes.

import { align, isDigit, keepDigits } from "./ctc.js";
import { rankCandidates, readStrip } from "./hypotheses.js";
import { clamp } from "./plane.js";
import { makeCloserStrip } from "./strip.js";

const SURE = 0.7;
const WIDER = 1.5;
const MAX_ALTERNATIVES = 12;
const MIN_ALTERNATIVE = 1e-4;
const NOT_A_NUMBER_RATIO = 1.5;
const MAX_GAPPED = 0.05;
const BLANK_FROM = 0.5;

const BLANK = { outcome: "blank", text: "", raw: "", confidence: 0, digits: [], alternatives: [] };

/** The number in a crop, and its strip, read by one or two models. */
export async function readNumber(engine, second, crop, strip, targetError) {
  if (!strip.hasInk) return BLANK;
  let first = await readStrip(engine, strip);
  let other = second && (await readStrip(second, strip));
  if (bestProbability(first) < SURE && !(other && agree(first, other))) {
    for (const look of furtherLooks(crop, strip)) {
      const reading = await readStrip(engine, look);
      if (!isEmpty(reading) && bestProbability(reading) > bestProbability(first)) first = reading;
    }
    if (second && first.strip !== strip) other = await readStrip(second, first.strip);
  }
  if (isBlank(first, other)) return BLANK;
  const candidates = rankCandidates(first.hypotheses, other?.hypotheses, engine.card.combination);
  return toNumber(first, candidates, engine.card, targetError);
}

/** A wider strip and, where the writing is low in the crop, one closer to it. */
function furtherLooks(crop, strip) {
  const closer = makeCloserStrip(crop, strip);
  return closer ? [strip.widened(WIDER), closer] : [strip.widened(WIDER)];
}

const bestProbability = ({ hypotheses }) => hypotheses[0]?.probability ?? 0;

/** Whether a model most likely sees no writing at all; it may have looked past it. */
const isEmpty = ({ hypotheses: [best] }) => Boolean(best) && !best.raw.trim();

/** Whether both models prefer the same digits. */
function agree({ hypotheses: [first] }, { hypotheses: [second] }) {
  return Boolean(first && second) && keepDigits(first.raw) === keepDigits(second.raw);
}

function toNumber(reading, candidates, card, targetError) {
  const numbers = likelyNumbers(candidates);
  if (!numbers.length) {
    const confidence = Math.min(1, pNotANumber(candidates));
    return { outcome: "not_a_number", text: "", raw: reading.hypotheses[0]?.raw ?? "", confidence, digits: [], alternatives: [] };
  }
  const [best] = numbers;
  const confidence = estimateConfidence(best, candidates, card);
  const isSure = confidence >= card.threshold(targetError) && best.gapped <= MAX_GAPPED;
  return {
    outcome: isSure ? "read" : "doubt",
    text: best.text,
    raw: best.raw.trim(),
    confidence,
    digits: digitsOf(best.raw, reading, card.alphabet),
    alternatives: alternativesOf(numbers, confidence),
  };
}

/** The candidates that are numbers, best first; none if it probably is not a number. */
function likelyNumbers(candidates) {
  const numbers = candidates.filter(({ text }) => text);
  return numbers.length && pNotANumber(candidates) <= NOT_A_NUMBER_RATIO * numbers[0].probability ? numbers : [];
}

const pNotANumber = (candidates) => candidates.reduce((total, { text, probability }) => total + (text ? 0 : probability), 0);

/** The calibrated probability that the best candidate is right, by the card's logistic curve. */
function estimateConfidence(best, candidates, card) {
  const probability = card.combination ? card.combinedConfidence(features(best, candidates)) : card.confidence(best.probability);
  return probability * (1 - best.marked);
}

/** What distinguishes right from wrong texts of two models, for a logistic curve. */
function features(best, candidates) {
  const secondBest = candidates.reduce((most, candidate) => (candidate === best ? most : Math.max(most, candidate.second)), 0);
  const p = clamp(best.probability, 1e-6, 1 - 1e-6);
  return {
    logit: Math.log(p / (1 - p)),
    first: Math.log(Math.max(best.first, 1e-5)),
    second: Math.log(Math.max(best.second, 1e-3)),
    agree: best.second > secondBest ? 1 : 0,
    length: Math.log(best.text.length),
  };
}

/** Whether nothing is written: neither model sees anything. */
const isBlank = (first, second) => pEmpty(first) >= BLANK_FROM && (!second || pEmpty(second) >= BLANK_FROM);

const pEmpty = ({ hypotheses }) => hypotheses.reduce((total, { raw, probability }) => total + (raw.trim() ? 0 : probability), 0);

/** The runners-up share the confidence that the best text leaves, and none exceeds it. */
function alternativesOf([best, ...others], confidence) {
  const scale = (1 - confidence) / Math.max(1 - best.probability, 1e-9);
  const pairs = others.slice(0, MAX_ALTERNATIVES).map(({ text, probability }) => [text, Math.min(probability * scale, confidence)]);
  return pairs.filter(([, value]) => value >= MIN_ALTERNATIVE);
}

/** Each digit of the text, with the probability of each of the ten. */
function digitsOf(raw, { probs }, alphabet) {
  const written = [...raw].filter((character) => alphabet.includes(character));
  const spans = align(probs, written.map((character) => 1 + alphabet.indexOf(character)));
  return written.flatMap((character, i) => {
    if (!isDigit(character)) return [];
    const [first, last] = spans[i];
    const probabilities = digitProbabilities(probs.slice(Math.max(first, 0), Math.max(last, 1)), alphabet);
    return [{ value: Number(character), confidence: probabilities[Number(character)], probabilities }];
  });
}

/** The ten digits' probabilities in the least blank frame, normalised. */
function digitProbabilities(frames, alphabet) {
  const clearest = frames.reduce((best, frame) => (frame[0] < best[0] ? frame : best));
  const ten = Array.from({ length: 10 }, (_, digit) => clearest[1 + alphabet.indexOf(String(digit))] + 1e-9);
  const total = ten.reduce((a, b) => a + b);
  return ten.map((probability) => probability / total);
}
