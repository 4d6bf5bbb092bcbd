"""CTC decoding: frame probabilities -> the most likely texts, and the frames of each character.

Prefix beam search over connectionist temporal classification (Graves et al. 2006; the search after Hannun et al. 2014),
restricted to a pattern where one is given. Alignment is by the Viterbi path.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import regex
from jaxtyping import Float64, Int64

from handigit.errors import PatternError

DIGITS: Final = "0123456789"
UNKNOWN: Final = "?"
"""Character for anything that is not part of a number."""
GAP: Final = " "
"""An empty cell between two that are filled in."""
_SEPARATORS: Final = ".,-/"
_AFFIXES: Final = "$=x "
"""Characters that a pattern for the number as written need not mention."""
_LONGEST: Final = 40
_MAX_TRIED: Final = 4000
"""Longest text, and number of texts, tried to find out whether a pattern can match at all."""
_MATCH_SECONDS: Final = 0.05
"""Time after which a pattern's comparison with one short text is given up."""
_BEAM: Final = 48
"""Beam width. With 48 and 1e-4 the list contains the truth for 97 % of cheque amounts, with 8 and 1e-3 for 94 %."""
_PRUNE_BELOW: Final = 1e-4
"""Characters below this probability are skipped; prefixes below this fraction of the best are dropped."""
_CERTAIN: Final = 0.9999
"""Probability of the blank above which a frame is skipped."""
_PLACEHOLDERS: Final = frozenset("YMDHSN#9")
"""Letters of a template such as YYYY or 99999; each stands for one digit."""

Beams = dict[str, tuple[float, float]]
"""Probability of each prefix: ending in a blank, and ending in its own last character."""
CharProbs = list[tuple[str, float]]
"""Characters and their probabilities in one frame."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text with its separators, and its probability, 0..1."""

    raw: str
    probability: float

    @property
    def text(self) -> str:
        """The digits alone."""
        return keep_digits(self.raw)

    @property
    def is_number(self) -> bool:
        """Whether it consists of digits and, at most, separators."""
        return UNKNOWN not in self.raw and bool(self.text)


@dataclass(frozen=True, slots=True)
class Constraint:
    """The raw texts that are allowed: `may_begin` tests a prefix, `allows` a whole text."""

    may_begin: Callable[[str], bool]
    allows: Callable[[str], bool]

    def also(self, other: "Constraint") -> "Constraint":
        """Both constraints together."""
        return Constraint(
            lambda raw: self.may_begin(raw) and other.may_begin(raw), lambda raw: self.allows(raw) and other.allows(raw)
        )


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> Constraint:
    r"""The constraint that a pattern puts on a number.

    A pattern is a regular expression for the digits alone, such as `\d{5}` or `[12]\d{3}`, or for the number as it is
    written, such as `\d+\.\d{2}`; or a template with a letter per digit, such as `YYYY`, `99999` or `DD.MM.YYYY`, whose
    separators are ignored.

    Raises:
        PatternError: not a valid expression, or one that no number can match.
    """
    letters = [character for character in pattern if character not in " .,-/"]
    expression = pattern
    if letters and all(character in _PLACEHOLDERS for character in letters):
        expression = rf"\d{{{len(letters)}}}"
    try:
        compiled = regex.compile(expression, regex.ASCII)
    except regex.error as problem:
        raise PatternError(
            rf"the pattern {pattern!r} is not a regular expression ({problem}); write one such as \d{{5}}, or a"
            " template such as YYYY"
        ) from None
    if not _has_match(compiled):
        raise PatternError(
            rf"the pattern {pattern!r} matches no number: no text of digits and the separators {_SEPARATORS} fits it;"
            r" write one such as \d{5} or \d+\.\d{2}"
        )

    def may_begin(raw: str) -> bool:
        return any(_matches(compiled, text, partial=True) for text in _forms(raw))

    def allows(raw: str) -> bool:
        return any(_matches(compiled, text) for text in _forms(raw))

    return Constraint(may_begin, allows)


def _matches(compiled: "regex.Pattern[str]", text: str, *, partial: bool = False) -> bool:
    """Whether the pattern fits the text, or with `partial` a longer one that begins with it.

    Raises:
        PatternError: the search took too long, as it does for nested repetitions.
    """
    try:
        return compiled.fullmatch(text, partial=partial, timeout=_MATCH_SECONDS) is not None
    except TimeoutError:
        raise PatternError(
            f"the pattern {compiled.pattern!r} takes more than {_MATCH_SECONDS} s to compare with {text!r}; write one"
            " without a repetition inside another, such as (a+)+"
        ) from None


def _forms(raw: str) -> tuple[str, str]:
    """The two texts that a pattern may describe: the digits, and the number as written without its affixes."""
    return keep_digits(raw), "".join(character for character in raw if character not in _AFFIXES)


def _has_match(compiled: "regex.Pattern[str]") -> bool:
    """Whether any number fits, by a depth-first search that extends only what may still match."""
    stack = [""]
    for _ in range(_MAX_TRIED):
        if not stack:
            return False
        text = stack.pop()
        if keep_digits(text) and _matches(compiled, text):
            return True
        if len(text) < _LONGEST:
            longer = (text + character for character in reversed(DIGITS + _SEPARATORS))
            stack += [one for one in longer if _matches(compiled, one, partial=True)]
    return False


def parse_alphabet(alphabet: str, known: str) -> Constraint:
    """The constraint that only these characters occur; `0-9` and other ranges of digits are expanded.

    Raises:
        PatternError: an empty alphabet, or a character that the model does not know.
    """
    if not alphabet:
        raise PatternError(f"the alphabet is empty; name the characters that may occur, out of {known}")
    expanded = regex.sub(
        r"(\d)-(\d)", lambda found: "".join(map(str, range(int(found[1]), int(found[2]) + 1))), alphabet
    )
    if unknown := sorted(set(expanded) - set(known)):
        raise PatternError(f"the alphabet {alphabet!r} contains {unknown[0]!r}; the model knows {known}")
    allowed = frozenset(expanded) | {UNKNOWN}

    def allows(raw: str) -> bool:
        return allowed.issuperset(raw)

    return Constraint(allows, allows)


def keep_digits(raw: str) -> str:
    """The digits of a text, without its separators."""
    return "".join(character for character in raw if character in DIGITS)


def date_order(pattern: str | None) -> str | None:
    """The order of a date's digits, such as "DDMMYYYY", if the pattern is a template of a date such as DD.MM.YYYY."""
    letters = "".join(character for character in pattern or "" if character not in " .,-/")
    return letters if sorted(letters) == sorted("DDMMYYYY") else None


def decode(
    probs: Float64[np.ndarray, "frames classes"], alphabet: str, *, constraint: Constraint | None = None
) -> list[Hypothesis]:
    """The most likely texts of a line, best first; class 0 is the blank, class i the i-th character of the alphabet.

    Each frame's `probs` sum to 1. A constraint removes texts and leaves the probabilities of the others as they are, so
    that a text which the picture contradicts stays improbable; the list may be empty.
    """
    beams: Beams = {"": (1.0, 0.0)}
    scale = 1.0
    for blank, likely in _frames(probs, alphabet):
        if likely:
            beams, best = _prune(_extend(beams, blank, likely, constraint))
            scale *= best
        else:
            beams = {prefix: ((by_blank + by_itself) * blank, 0.0) for prefix, (by_blank, by_itself) in beams.items()}
    hypotheses = [Hypothesis(prefix, sum(pair) * scale) for prefix, pair in beams.items()]
    if constraint is not None:
        hypotheses = [hypothesis for hypothesis in hypotheses if constraint.allows(hypothesis.raw)]
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.probability)


def _frames(probs: Float64[np.ndarray, "frames classes"], alphabet: str) -> Iterator[tuple[float, CharProbs]]:
    """Per frame, the probability of the blank and the other likely characters; none where the blank is certain."""
    likely: list[CharProbs] = [[] for _ in probs]
    frames, classes = np.nonzero((probs[:, 1:] >= _PRUNE_BELOW) & (probs[:, :1] < _CERTAIN))
    values = probs[frames, classes + 1].tolist()
    for frame, index, probability in zip(frames.tolist(), classes.tolist(), values, strict=True):
        likely[frame].append((alphabet[index], probability))
    return zip(probs[:, 0].tolist(), likely, strict=True)


def _extend(beams: Beams, blank: float, likely: CharProbs, constraint: Constraint | None) -> Beams:
    """The prefixes after one more frame."""
    repeat = dict(likely)
    after: dict[str, list[float]] = {}
    for prefix, (by_blank, by_itself) in beams.items():
        total = by_blank + by_itself
        last = prefix[-1:]
        unchanged = after.setdefault(prefix, [0.0, 0.0])
        unchanged[0] += total * blank
        unchanged[1] += by_itself * repeat.get(last, 0.0)
        for character, probability in likely:
            weight = (by_blank if character == last else total) * probability
            longer = prefix + character
            if weight and (constraint is None or constraint.may_begin(longer)):
                after.setdefault(longer, [0.0, 0.0])[1] += weight
    return {prefix: (by_blank, by_itself) for prefix, (by_blank, by_itself) in after.items()}


def _prune(beams: Beams) -> tuple[Beams, float]:
    """The prefixes within the beam, relative to the best, and the best's probability.

    They are rescaled because a constraint may leave so little probability that it underflows.
    """
    totals = {prefix: by_blank + by_itself for prefix, (by_blank, by_itself) in beams.items()}
    best = max(totals.values()) or 1.0
    kept = [prefix for prefix, total in totals.items() if total >= _PRUNE_BELOW * best]
    if len(kept) > _BEAM:
        kept = sorted(kept, key=totals.__getitem__, reverse=True)[:_BEAM]
    return {prefix: (beams[prefix][0] / best, beams[prefix][1] / best) for prefix in kept}, best


def align(probs: Float64[np.ndarray, "frames classes"], classes: Sequence[int]) -> Int64[np.ndarray, "characters 2"]:
    """The first and the last frame (exclusive) of each character along the Viterbi path.

    Runs of frames that are certainly blank are shortened to one frame.
    """
    empty = probs[:, 0] > _CERTAIN
    kept = np.flatnonzero(~np.concatenate([[False], empty[1:] & empty[:-1]]))
    if len(kept) <= 2 * len(classes):
        kept = np.arange(len(probs))
    spans = _viterbi(probs[kept], classes)
    return np.stack([kept[spans[:, 0]], kept[spans[:, 1] - 1] + 1], axis=1)


def _viterbi(probs: Float64[np.ndarray, "frames classes"], classes: Sequence[int]) -> Int64[np.ndarray, "characters 2"]:
    """The frames of each character along the best path through all of `probs`."""
    states = np.zeros(2 * len(classes) + 1, np.int64)
    states[1::2] = classes
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]  # the blank between two different characters is optional
    forbidden = np.where(skips, 0.0, -np.inf)
    logs = np.log(np.maximum(probs[:, states], 1e-30))
    steps = np.full((3, len(states) + 2), -np.inf)  # stay, advance by one, skip a blank; two columns of padding
    steps[0, :2] = logs[0, :2]
    backpointers = np.zeros(logs.shape, np.int64)
    for frame in range(1, len(logs)):
        steps[1, 1:] = steps[0, :-1]
        steps[2, 2:] = steps[0, :-2]
        steps[2, : len(states)] += forbidden
        best = steps.argmax(axis=0)[: len(states)]
        backpointers[frame] = best
        steps[0, : len(states)] = steps.max(axis=0)[: len(states)] + logs[frame]
    score = steps[0, : len(states)]
    return _backtrace(backpointers, len(states) - (1 if len(states) == 1 or score[-1] >= score[-2] else 2))


def _backtrace(backpointers: Int64[np.ndarray, "frames states"], state: int) -> Int64[np.ndarray, "characters 2"]:
    """The frames of each character, following the backpointers from the final state."""
    spans = [[-1, -1] for _ in range(backpointers.shape[1] // 2)]
    steps = backpointers.tolist()
    for frame in range(len(steps) - 1, -1, -1):
        if state % 2:
            span = spans[state // 2]
            span[1] = max(span[1], frame + 1)
            span[0] = frame
        state -= steps[frame][state]
    return np.array(spans, np.int64).reshape(-1, 2)
