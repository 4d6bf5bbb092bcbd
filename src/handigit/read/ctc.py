"""From the frames of a number model to texts: the likeliest ones with their probabilities, and where each character is.

Prefix beam search over connectionist temporal classification (Graves et al. 2006; the search after Hannun et al. 2014),
held to a pattern where one is given. It knows classes and frames, nothing of pictures or outcomes.
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
"""The character for what is no part of a number."""
_BEAM: Final = 8
"""Prefixes that are followed at a time."""
_LEAST: Final = 1e-3
"""Probability below which a character is not tried, and share of the best prefix's below which one is left."""
_CERTAIN: Final = 0.9999
"""Probability of the blank above which a frame holds nothing."""
_PLACEHOLDERS: Final = frozenset("YMDHSN#9")
"""Letters of a template such as YYYY or 99999, each of which stands for one digit."""

Beams = dict[str, tuple[float, float]]
"""How probable each prefix is so far: ending in a blank, and ending in its own last character."""
Likely = list[tuple[str, float]]
"""Characters with how probable each is in a frame."""


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
    beams: Beams = {"": (1.0, 0.0)}
    for blank, likely in _frames(shares, alphabet):
        if likely:
            beams = _best(_extended(beams, blank, likely, within), within)
        else:
            beams = {prefix: ((by_blank + by_itself) * blank, 0.0) for prefix, (by_blank, by_itself) in beams.items()}
    return _ranked(beams, within)


def _frames(shares: Float64[np.ndarray, "frames classes"], alphabet: str) -> Iterator[tuple[float, Likely]]:
    """Of each frame how probable the blank is, and what else is worth trying; nothing where the blank is certain."""
    likely: list[Likely] = [[] for _ in shares]
    tried = (shares[:, 1:] >= _LEAST) & (shares[:, :1] < _CERTAIN)
    frames, classes = np.nonzero(tried)
    values = shares[frames, classes + 1].tolist()
    for frame, index, share in zip(frames.tolist(), classes.tolist(), values, strict=True):
        likely[frame].append((alphabet[index], share))
    return zip(shares[:, 0].tolist(), likely, strict=True)


def _extended(beams: Beams, blank: float, likely: Likely, within: Constraint | None) -> Beams:
    """The prefixes after one more frame."""
    repeat = dict(likely)
    after: dict[str, list[float]] = {}
    for prefix, (by_blank, by_itself) in beams.items():
        total = by_blank + by_itself
        last = prefix[-1:]
        here = after.setdefault(prefix, [0.0, 0.0])
        here[0] += total * blank
        here[1] += by_itself * repeat.get(last, 0.0)
        for character, share in likely:
            weight = (by_blank if character == last else total) * share
            longer = prefix + character
            if weight and (within is None or _may_begin(longer, within)):
                after.setdefault(longer, [0.0, 0.0])[1] += weight
    return {prefix: (by_blank, by_itself) for prefix, (by_blank, by_itself) in after.items()}


def _best(beams: Beams, within: Constraint | None) -> Beams:
    """The prefixes that are followed on."""
    totals = {prefix: by_blank + by_itself for prefix, (by_blank, by_itself) in beams.items()}
    most = max(totals.values())
    least = _LEAST * most
    kept = [prefix for prefix, total in totals.items() if total >= least]
    if len(kept) > _BEAM:
        kept = sorted(kept, key=totals.__getitem__, reverse=True)[:_BEAM]
    if within is None or not most:
        return {prefix: beams[prefix] for prefix in kept}
    return {prefix: (beams[prefix][0] / most, beams[prefix][1] / most) for prefix in kept}  # little may be left


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
    """The first and the last frame (excluded) of each character along the likeliest path that gives them (Viterbi).

    Of the frames in a row that certainly hold nothing one is enough.
    """
    empty = shares[:, 0] > _CERTAIN
    kept = np.flatnonzero(~np.concatenate([[False], empty[1:] & empty[:-1]]))
    if len(kept) <= 2 * len(classes):
        kept = np.arange(len(shares))
    spans = _aligned(shares[kept], classes)
    return np.stack([kept[spans[:, 0]], kept[spans[:, 1] - 1] + 1], axis=1)


def _aligned(
    shares: Float64[np.ndarray, "frames classes"], classes: Sequence[int]
) -> Int64[np.ndarray, "characters 2"]:
    """The same among these frames."""
    states = np.zeros(2 * len(classes) + 1, np.int64)
    states[1::2] = classes
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]  # the blank between two different characters may be left out
    barred = np.where(skips, 0.0, -np.inf)
    logs = np.log(np.maximum(shares[:, states], 1e-30))
    ways = np.full((3, len(states) + 2), -np.inf)  # to stay, to step on, to leap over a blank; two columns of room
    ways[0, :2] = logs[0, :2]
    came = np.zeros(logs.shape, np.int64)
    for frame in range(1, len(logs)):
        ways[1, 1:] = ways[0, :-1]
        ways[2, 2:] = ways[0, :-2]
        ways[2, : len(states)] += barred
        best = ways.argmax(axis=0)[: len(states)]
        came[frame] = best
        ways[0, : len(states)] = ways.max(axis=0)[: len(states)] + logs[frame]
    score = ways[0, : len(states)]
    return _traced_back(came, len(states) - 1 if len(states) == 1 or score[-1] >= score[-2] else len(states) - 2)


def _traced_back(came: Int64[np.ndarray, "frames states"], state: int) -> Int64[np.ndarray, "characters 2"]:
    """The frames of each character, from the steps by which each state was come to and the state at the end."""
    spans = [[-1, -1] for _ in range(came.shape[1] // 2)]
    steps = came.tolist()
    for frame in range(len(steps) - 1, -1, -1):
        if state % 2:
            place = spans[state // 2]
            place[1] = max(place[1], frame + 1)
            place[0] = frame
        state -= steps[frame][state]
    return np.array(spans, np.int64).reshape(-1, 2)
