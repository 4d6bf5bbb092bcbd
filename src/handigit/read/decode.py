"""From the frames of a number model to texts: the likeliest ones with their probabilities, and where each character is.

Prefix beam search over connectionist temporal classification (Graves et al. 2006; the search after Hannun et al. 2014),
held to a pattern where one is given. It knows classes and frames, nothing of pictures or outcomes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import regex
from jaxtyping import Float64, Int64

from handigit.errors import PatternError

DIGITS: Final = "0123456789"
UNKNOWN: Final = "?"
"""The character for what is no part of a number."""
_BEAM: Final = 8
"""Prefixes that are followed at a time."""
_LEAST: Final = 1e-3
"""Probability below which a character is not tried, and share of the best prefix's below which one is left."""
_CERTAIN: Final = 0.9999
"""Probability of the blank above which a frame holds nothing."""
_PLACEHOLDERS: Final = frozenset("YMDHSN#9")
"""Letters of a template such as YYYY or 99999, each of which stands for one digit."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text with its separators, and how probable it is, 0..1."""

    raw: str
    probability: float

    @property
    def text(self) -> str:
        """The digits alone."""
        return "".join(character for character in self.raw if character in DIGITS)

    @property
    def is_number(self) -> bool:
        """Whether it is digits, with separators at most."""
        return UNKNOWN not in self.raw and bool(self.text)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a number may be: whether digits may be the beginning of one, and whether they are one."""

    may_begin: Callable[[str], bool]
    allows: Callable[[str], bool]


@lru_cache(maxsize=256)
def constraint(pattern: str) -> Constraint:
    r"""What a pattern asks of the digits, separators left out: a regular expression, or a template.

    `\d{5}` and `[12]\d{3}` are expressions; a template has a letter for each digit, such as `YYYY` or `99999`, or
    `DD.MM.YYYY`, whose separators ask for nothing.

    Raises:
        PatternError: no valid expression.
    """
    letters = [character for character in pattern if character not in " .,-/"]
    if letters and all(character in _PLACEHOLDERS for character in letters):
        pattern = rf"\d{{{len(letters)}}}"
    try:
        compiled = regex.compile(pattern, regex.ASCII)
    except regex.error as problem:
        raise PatternError(
            rf"the pattern {pattern!r} is no regular expression ({problem}); write one such as \d{{5}}, or a template"
            " such as YYYY"
        ) from None
    return Constraint(
        lambda digits: compiled.fullmatch(digits, partial=True) is not None,
        lambda digits: compiled.fullmatch(digits) is not None,
    )


def decode(
    shares: Float64[np.ndarray, "frames classes"], alphabet: str, *, within: Constraint | None = None
) -> list[Hypothesis]:
    """The likeliest texts of a line, the likeliest first; class 0 is the blank, class i the i-th of the alphabet.

    `shares` are probabilities, each frame's with a sum of 1. With a constraint, probabilities are those among the texts
    that it allows; none may be left.
    """
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}  # of each prefix: ending in a blank, ending in itself
    for frame, is_empty in zip(shares, (shares[:, 0] >= _CERTAIN).tolist(), strict=True):
        if is_empty:
            beams = {prefix: (sum(pair), 0.0) for prefix, pair in beams.items()}
        else:
            beams = _extended(beams, frame, alphabet, within)
    return _ranked(beams, within)


def _extended(
    beams: dict[str, tuple[float, float]],
    frame: Float64[np.ndarray, " classes"],
    alphabet: str,
    within: Constraint | None,
) -> dict[str, tuple[float, float]]:
    """The prefixes after one more frame."""
    likely = [(alphabet[i], float(frame[i + 1])) for i in np.flatnonzero(frame[1:] >= _LEAST).tolist()]
    blank = float(frame[0])
    repeat = dict(likely)
    after: dict[str, tuple[float, float]] = {}
    for prefix, (by_blank, by_itself) in beams.items():
        total = by_blank + by_itself
        ended, going = after.get(prefix, (0.0, 0.0))
        again = by_itself * repeat.get(prefix[-1], 0.0) if prefix else 0.0
        after[prefix] = (ended + total * blank, going + again)
        for character, share in likely:
            longer = prefix + character
            weight = (by_blank if prefix.endswith(character) else total) * share
            if weight and (within is None or _may_begin(longer, within)):
                ended, going = after.get(longer, (0.0, 0.0))
                after[longer] = (ended, going + weight)
    return _best(after, within)


def _best(beams: dict[str, tuple[float, float]], within: Constraint | None) -> dict[str, tuple[float, float]]:
    """The prefixes that are followed on."""
    most = max(pair[0] + pair[1] for pair in beams.values())
    kept = [(prefix, pair) for prefix, pair in beams.items() if pair[0] + pair[1] >= _LEAST * most]
    if len(kept) > _BEAM:
        kept = sorted(kept, key=lambda item: -(item[1][0] + item[1][1]))[:_BEAM]
    if within is None or not most:
        return dict(kept)
    return {prefix: (by_blank / most, by_itself / most) for prefix, (by_blank, by_itself) in kept}  # little may be left


def _may_begin(raw: str, within: Constraint) -> bool:
    return within.may_begin("".join(character for character in raw if character in DIGITS))


def _ranked(beams: dict[str, tuple[float, float]], within: Constraint | None) -> list[Hypothesis]:
    found = [Hypothesis(prefix, sum(pair)) for prefix, pair in beams.items()]
    if within is not None:
        found = [one for one in found if within.allows(one.text)]
        total = sum(one.probability for one in found)
        found = [Hypothesis(one.raw, one.probability / total) for one in found if total > 0]
    return sorted(found, key=lambda one: -one.probability)


def align(shares: Float64[np.ndarray, "frames classes"], classes: Sequence[int]) -> Int64[np.ndarray, "characters 2"]:
    """The first and the last frame (excluded) of each character along the likeliest path that gives them (Viterbi)."""
    states = np.zeros(2 * len(classes) + 1, np.int64)
    states[1::2] = classes
    logs = np.log(np.maximum(shares[:, states], 1e-30))
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]  # the blank between two different characters may be left out
    score = np.full(len(states), -np.inf)
    score[:2] = logs[0, :2]
    came = np.zeros(logs.shape, np.int64)
    for frame in range(1, len(logs)):
        step = np.concatenate([[-np.inf], score[:-1]])
        leap = np.where(skips, np.concatenate([[-np.inf, -np.inf], score[:-2]])[: len(states)], -np.inf)
        ways = np.stack([score, step, leap])
        came[frame] = ways.argmax(axis=0)
        score = ways.max(axis=0) + logs[frame]
    state = len(states) - 1 if len(states) == 1 or score[-1] >= score[-2] else len(states) - 2
    spans = np.full((len(classes), 2), -1, np.int64)
    for frame in range(len(logs) - 1, -1, -1):
        if state % 2:
            place = state // 2
            spans[place, 1] = max(spans[place, 1], frame + 1)
            spans[place, 0] = frame
        state -= int(came[frame, state])
    return spans
