// Combine predictions from several views of one picture. A port of `handigit.read.digits`.

const SURE = 0.97;
const OVERSIZED_WEIGHT = 0.25;
const MIN_RIVAL = 0.4;
const SURE_OF_FRAME = 0.9;

const highest = (probs) => probs.reduce((a, b) => Math.max(a, b));

/** {probs, glyph, box} of a picture's digit; null for a blank one. */
export async function predictDigit(engine, views) {
  const { found, oversized, inverted } = views;
  const first = found && { probs: (await engine.probabilities([found.glyph]))[0], glyph: found.glyph, box: found.box };
  if (first && highest(first.probs) >= SURE && !oversized && !inverted) return first;
  const glyphs = views.others();
  if (!glyphs.length) return first;
  const probs = await engine.probabilities(glyphs);
  const box = { left: 0, top: 0, right: 28, bottom: 28 };
  return combine(first, glyphs.map((glyph, i) => ({ probs: probs[i], glyph, box })), oversized);
}

/** The weighted mean of the first prediction and those for the other views. */
function combine(first, others, oversized) {
  const settled = first && highest(first.probs) >= SURE && !oversized; // the polarity was doubtful
  const rivals = settled ? others.filter(({ probs }) => voteWeight(probs) >= MIN_RIVAL) : others;
  const predictions = first ? [first, ...rivals] : rivals;
  const weights = predictions.map(({ probs }) => voteWeight(probs));
  if (oversized) weights[0] *= OVERSIZED_WEIGHT;
  const total = weights.reduce((a, b) => a + b);
  const mean = predictions[0].probs.map((_, digit) => predictions.reduce((sum, { probs }, i) => sum + weights[i] * probs[digit], 0) / total);
  if (!first && highest(mean) < SURE_OF_FRAME) return null;
  return { probs: mean, glyph: predictions[weights.indexOf(Math.max(...weights))].glyph, box: predictions[0].box };
}

/** (1 - normalised entropy) squared: 1 for a certain view, almost 0 for a flat one. */
function voteWeight(probs) {
  const entropy = -probs.reduce((total, p) => total + p * Math.log(Math.max(p, 1e-12)), 0);
  return Math.max(1 - entropy / Math.log(probs.length), 1e-6) ** 2;
}
