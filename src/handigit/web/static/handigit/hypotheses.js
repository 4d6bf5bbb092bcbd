// What two number models say of one crop -> ranked candidates. A port of `handigit.read.hypotheses`.

import { GAP, UNKNOWN, decode, keepDigits } from "./ctc.js";

const MIN_PROBABILITY = 1e-5;
const MIN_SECOND = 0.02;
const OTHER = "other";
const MIN_MARKED_DIGITS = 2;

/** {strip, probs, hypotheses}: one model's result for a strip, the texts best first. */
export async function readStrip(engine, strip) {
  const probs = await engine.probabilities(strip);
  return { strip, probs, hypotheses: decode(probs, engine.card.alphabet) };
}

/** The probability of each number, of no number (the empty text), and of everything else. */
function byText(hypotheses) {
  const masses = new Map();
  const massOf = (text, raw) => {
    if (!masses.has(text)) masses.set(text, { raw, best: 0, total: 0, marked: 0, gapped: 0 });
    return masses.get(text);
  };
  for (const { raw, probability } of hypotheses) {
    const marks = raw.split(UNKNOWN).length - 1;
    const digits = keepDigits(raw);
    const isNumber = !(marks > 1 || (marks && digits.length < MIN_MARKED_DIGITS));
    const mass = massOf(isNumber ? digits : "", raw);
    mass.total += probability;
    if (marks) mass.marked += probability;
    if (raw.trim().includes(GAP)) mass.gapped += probability;
    if (probability > mass.best) Object.assign(mass, { raw, best: probability });
  }
  massOf("", "");
  const known = [...masses.values()].reduce((total, mass) => total + mass.total, 0);
  massOf(OTHER, "").total = Math.max(0, 1 - known);
  return masses;
}

/** The candidates of a crop, best first: {text, raw, probability, first, second, marked, gapped}. */
export function rankCandidates(first, second, combination) {
  const ours = byText(first);
  if (!second || !combination) {
    return sorted([...ours].filter(([text]) => text !== OTHER).map(([text, mass]) => candidate(text, mass.raw, ours, mass.total)));
  }
  const theirs = byText(second);
  const raws = new Map([...theirs].filter(([text, mass]) => mass.total >= MIN_SECOND || text === OTHER).map(([text, mass]) => [text, mass.raw]));
  for (const [text, mass] of ours) raws.set(text, mass.raw);
  const scores = [...raws.keys()].map((text) =>
    Math.log(Math.max(total(ours, text), MIN_PROBABILITY)) + combination.weight * Math.log(Math.max(total(theirs, text), combination.floor)));
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const sum = weights.reduce((a, b) => a + b);
  const candidates = [...raws].map(([text, raw], i) => candidate(text, raw, ours, weights[i] / sum, total(theirs, text)));
  return sorted(candidates.filter(({ text }) => text !== OTHER));
}

const total = (masses, text) => masses.get(text)?.total ?? 0;

function candidate(text, raw, ours, probability, second = 0) {
  const mass = ours.get(text) ?? { total: 0, marked: 0, gapped: 0 };
  const scale = Math.max(mass.total, 1e-30);
  return { text, raw, probability, first: mass.total, second, marked: mass.marked / scale, gapped: mass.gapped / scale };
}

const sorted = (candidates) => candidates.sort((a, b) => b.probability - a.probability);
