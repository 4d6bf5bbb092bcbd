"""What there is to say of a set at a glance, before anyone draws it.

It knows nothing of terminals: `show.py` draws it there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from handigit.data.dataset import CLASSES, Dataset, duplicates

LEVELS = 32
"""Width of an intensity bin, in levels of 0..255."""


@dataclass(frozen=True)
class Bar:
    """One value of a chart, as a share of the chart's largest."""

    label: str
    value: int
    share: float


@dataclass(frozen=True)
class Summary:
    """A set in a few figures.

    `balance` has a bar a digit, none where labels are missing; `intensity` a bar for every 32 levels, of the pixels
    that are not 0; `inked` is the share of those among all pixels.
    """

    facts: tuple[tuple[str, str], ...]
    balance: tuple[Bar, ...]
    intensity: tuple[Bar, ...]
    inked: float
    skipped: tuple[str, ...]


def summarise(dataset: Dataset) -> Summary:
    """Count what is in the set; takes about a second for 60,000 glyphs."""
    levels = _levels(dataset)
    bins = levels.reshape(-1, LEVELS).sum(axis=1).tolist()
    inked = int(levels.sum()) / max(dataset.glyphs.size, 1)
    facts = (
        ("name", dataset.name),
        ("glyphs", f"{len(dataset):,} of 28x28 bytes, ink bright on 0"),
        ("labels", "none" if dataset.labels is None else "0 to 9"),
        ("inked", f"{inked:.1%} of the pixels"),
        ("duplicates", f"{duplicates(dataset):,} exact"),
        ("skipped", f"{len(dataset.skipped):,}"),
        ("fingerprint", dataset.fingerprint),
    )
    return Summary(facts, _balance(dataset), _bars(_bin_names(), bins), inked, dataset.skipped)


def choose_samples(dataset: Dataset, *, count: int, seed: int) -> Int64[np.ndarray, " m"]:
    """Places of randomly chosen samples, by label where there are labels; the same for the same seed."""
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
    if dataset.labels is None:
        return np.sort(chosen)
    return chosen[np.lexsort((chosen, dataset.labels[chosen]))]


def label_of(dataset: Dataset, index: int) -> str:
    """The digit as text, a question mark where it is not known."""
    return "?" if dataset.labels is None else str(dataset.labels[index])


def _levels(dataset: Dataset) -> Int64[np.ndarray, " 256"]:
    """How many pixels have each level; none are counted at 0, which is paper."""
    levels = np.zeros(256, np.int64)
    # NumPy counts only in int64: glyph by glyph group, so that the set is never there eight times over.
    for start in range(0, len(dataset), 1000):
        levels += np.bincount(dataset.glyphs[start : start + 1000].ravel(), minlength=256)
    levels[0] = 0
    return levels


def _balance(dataset: Dataset) -> tuple[Bar, ...]:
    if dataset.labels is None:
        return ()
    counts = np.bincount(dataset.labels, minlength=CLASSES).tolist()
    return _bars([str(digit) for digit in range(CLASSES)], counts)


def _bin_names() -> list[str]:
    return [f"{max(start, 1)}-{start + LEVELS - 1}" for start in range(0, 256, LEVELS)]


def _bars(labels: list[str], values: list[int]) -> tuple[Bar, ...]:
    largest = max([*values, 1])
    return tuple(Bar(label, value, value / largest) for label, value in zip(labels, values, strict=True))
