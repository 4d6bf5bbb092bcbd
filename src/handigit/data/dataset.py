"""Glyphs with their labels: the result of every loader, and the input of training and evaluation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Int64, Integer, UInt8

from handigit.errors import BadDataFile, DataError

CLASSES = 10


@dataclass(frozen=True, eq=False)
class Dataset:
    """Glyphs (0..255, ink bright on 0) and their digits; `labels` is None where they are unknown.

    `skipped` names each input that gave no glyph, with the reason.

    Raises:
        BadDataFile: a label outside 0..9, or not one label per glyph.
    """

    name: str
    glyphs: UInt8[np.ndarray, "n 28 28"]
    labels: Int64[np.ndarray, " n"] | None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels is not None:
            check_labels(self.labels, count=len(self.glyphs), source=self.name)

    def __len__(self) -> int:
        return len(self.glyphs)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shapes, glyphs and labels; the name and the skipped inputs do not count."""
        digest = hashlib.sha256(repr((self.glyphs.shape, self.labels is not None)).encode())
        digest.update(self.glyphs.tobytes())
        if self.labels is not None:
            digest.update(self.labels.astype("<i8", copy=False).tobytes())
        return digest.hexdigest()

    def take(self, indices: Integer[np.ndarray, " m"]) -> "Dataset":
        """The samples at these indices, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        return Dataset(self.name, self.glyphs[indices], labels, self.skipped)

    def as_floats(self) -> Float32[np.ndarray, "n 28 28"]:
        """The glyphs in 0..1, as models take them; four times the memory."""
        floats: Float32[np.ndarray, "n 28 28"] = np.divide(self.glyphs, np.float32(255), dtype=np.float32)
        return floats

    def pixels(self) -> list[bytes]:
        """Each glyph's 784 bytes; equal bytes are an exact duplicate."""
        return [glyph.tobytes() for glyph in self.glyphs]


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of a set that share no glyph; `dropped` counts the duplicates removed from `train` for that."""

    train: Dataset
    validation: Dataset
    dropped: int


def check_labels(labels: Integer[np.ndarray, " n"], *, count: int, source: str) -> None:
    """Refuse labels that are not digits.

    Raises:
        BadDataFile: naming the first bad label and its index (from 0), or the two counts that differ.
    """
    if len(labels) != count:
        raise BadDataFile(f"{source}: {count} images but {len(labels)} labels; give the two files of one set")
    outside = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(outside):
        raise BadDataFile(
            f"{source}: label {labels[outside[0]]} at index {outside[0]} (from 0) is outside 0..9, "
            f"as are {len(outside)} of {count}; give a set of digits"
        )


def split(dataset: Dataset, *, validation: int, seed: int) -> Split:
    """Hold out `validation` random samples; duplicates of them are removed from the rest.

    Raises:
        DataError: fewer samples than `validation`, or none left to train on.
    """
    if not 0 <= validation < max(len(dataset), 1):
        raise DataError(f"{dataset.name}: cannot hold out {validation} of its {len(dataset)} samples; ask for fewer")
    order = np.random.default_rng(seed).permutation(len(dataset))
    held_out = dataset.take(order[:validation])
    rest = np.sort(order[validation:])
    seen = set(held_out.pixels())
    fresh = np.array([glyph.tobytes() not in seen for glyph in dataset.glyphs[rest]], dtype=bool)
    if not fresh.any():
        raise DataError(f"{dataset.name}: every sample is a duplicate of a validation sample; nothing to train on")
    return Split(dataset.take(rest[fresh]), held_out, dropped=int((~fresh).sum()))


def overlap(a: Dataset, b: Dataset) -> int:
    """Number of glyphs of `b` that are also in `a`, pixel for pixel."""
    seen = set(a.pixels())
    return sum(glyph in seen for glyph in b.pixels())


def duplicates(dataset: Dataset) -> int:
    """Number of glyphs that repeat an earlier one of the same set, pixel for pixel."""
    return len(dataset) - len(set(dataset.pixels()))


def concatenate(datasets: Sequence[Dataset], *, name: str) -> Dataset:
    """Several sets as one, in the given order.

    Raises:
        DataError: no set given, or only some of them have labels.
    """
    if not datasets:
        raise DataError(f"{name}: no data sets to concatenate; name at least one")
    labels = [d.labels for d in datasets if d.labels is not None]
    if labels and len(labels) < len(datasets):
        unlabelled = next(d.name for d in datasets if d.labels is None)
        raise DataError(f"{name}: {unlabelled} has no labels but others have; give either labelled or unlabelled sets")
    return Dataset(
        name=name,
        glyphs=np.concatenate([d.glyphs for d in datasets]),
        labels=np.concatenate(labels) if labels else None,
        skipped=tuple(reason for d in datasets for reason in d.skipped),
    )
