// CTC decoding: frame probabilities -> the most likely texts, and the frames of each character. A port of
// `handigit.read.ctc`, without patterns.

const DIGITS = "0123456789";
export const UNKNOWN = "?";
export const GAP = " ";
const BEAM = 48;
const PRUNE_BELOW = 1e-4;
const CERTAIN = 0.9999;

export const isDigit = (character) => DIGITS.includes(character);
export const keepDigits = (raw) => [...raw].filter(isDigit).join("");

/** [{raw, probability}], best first; class 0 is the blank, class i the i-th character of the alphabet. */
export function decode(frames, alphabet) {
  let beams = new Map([["", [1, 0]]]);
  let scale = 1;
  for (const probs of frames) {
    const likely = likelyCharacters(probs, alphabet);
    if (likely.length) {
      const extended = extend(beams, probs[0], likely);
      const pruned = prune(extended);
      beams = pruned.beams;
      scale *= pruned.best;
    } else {
      beams = new Map([...beams].map(([prefix, [byBlank, byItself]]) => [prefix, [(byBlank + byItself) * probs[0], 0]]));
    }
  }
  const hypotheses = [...beams].map(([raw, [byBlank, byItself]]) => ({ raw, probability: (byBlank + byItself) * scale }));
  return hypotheses.sort((a, b) => b.probability - a.probability);
}

function likelyCharacters(probs, alphabet) {
  if (!(probs[0] < CERTAIN)) return [];
  const likely = [];
  for (let i = 1; i < probs.length; i++) if (probs[i] >= PRUNE_BELOW) likely.push([alphabet[i - 1], probs[i]]);
  return likely;
}

/** The prefixes after one more frame: their probabilities ending in a blank, and in their own last character. */
function extend(beams, blank, likely) {
  const after = new Map();
  const entry = (prefix) => {
    if (!after.has(prefix)) after.set(prefix, [0, 0]);
    return after.get(prefix);
  };
  for (const [prefix, [byBlank, byItself]] of beams) {
    const total = byBlank + byItself;
    const last = prefix.at(-1);
    const unchanged = entry(prefix);
    unchanged[0] += total * blank;
    for (const [character, probability] of likely) {
      if (character === last) unchanged[1] += byItself * probability;
      const weight = (character === last ? byBlank : total) * probability;
      if (weight) entry(prefix + character)[1] += weight;
    }
  }
  return after;
}

/** The prefixes within the beam, relative to the best. */
function prune(beams) {
  const totals = [...beams].map(([prefix, [byBlank, byItself]]) => [prefix, byBlank + byItself]);
  const best = totals.reduce((most, [, total]) => Math.max(most, total), 0) || 1;
  let kept = totals.filter(([, total]) => total >= PRUNE_BELOW * best);
  if (kept.length > BEAM) kept = kept.sort((a, b) => b[1] - a[1]).slice(0, BEAM);
  const scaled = ([prefix]) => [prefix, beams.get(prefix).map((value) => value / best)];
  return { beams: new Map(kept.map(scaled)), best };
}

/** The first and the last frame (exclusive) of each of these classes along the Viterbi path. */
export function align(frames, classes) {
  const empty = frames.map((probs) => probs[0] > CERTAIN);
  let kept = [...frames.keys()].filter((i) => !(i && empty[i] && empty[i - 1]));
  if (kept.length <= 2 * classes.length) kept = [...frames.keys()];
  const spans = viterbi(kept.map((i) => frames[i]), classes);
  return spans.map(([first, last]) => [kept[first], kept.at(last - 1) + 1]);
}

function viterbi(frames, classes) {
  const states = [0, ...classes.flatMap((label) => [label, 0])];
  const logs = frames.map((probs) => states.map((state) => Math.log(Math.max(probs[state], 1e-30))));
  const canSkip = (state) => state % 2 === 1 && state > 1 && states[state] !== states[state - 2];
  let scores = states.map((_, state) => (state < 2 ? logs[0][state] : -Infinity));
  const backpointers = [states.map(() => 0)];
  for (const log of logs.slice(1)) {
    const steps = [];
    scores = scores.map((stay, state, before) => {
      const options = [stay, before[state - 1] ?? -Infinity, canSkip(state) ? before[state - 2] : -Infinity];
      steps[state] = options.indexOf(Math.max(...options));
      return options[steps[state]] + log[state];
    });
    backpointers.push(steps);
  }
  const last = states.length - 1;
  return backtrace(backpointers, last === 0 || scores[last] >= scores[last - 1] ? last : last - 1);
}

function backtrace(backpointers, finalState) {
  const spans = Array.from({ length: backpointers[0].length >> 1 }, () => [-1, -1]);
  let state = finalState;
  for (let frame = backpointers.length - 1; frame >= 0; frame--) {
    if (state % 2) spans[state >> 1] = [frame, Math.max(spans[state >> 1][1], frame + 1)];
    state -= backpointers[frame][state];
  }
  return spans;
}
