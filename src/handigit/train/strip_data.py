"""Training strips: drawn sets, real strings divided by writer, and varied batches of similar width."""

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from handigit.atomic import write_file
from handigit.augment.strips import vary_strip
from handigit.data.strings import load_strings
from handigit.data.writers import STRING_SETS, WRONG_LABELS, Part, part_of
from handigit.errors import DataError
from handigit.images.strip import MAX_WIDTH_PX, MIN_PADDED_PX, STRIP_PX, scale_to_strip, stretch_contrast
from handigit.recipe import Recipe
from handigit.synth.crops import GAP, Mix, draw_crop
from handigit.synth.number_texts import ALPHABET
from handigit.synth.real_digits import Trusts
from handigit.train.people import load_marks, load_people

MIX: Final = Mix(nothing=0.03, no_number=0.1, real=0.75, plain=0.35, plain_in_cells=0.1)
"""What is drawn: more paper, print and non-numbers than a page contains."""
_STEP_PX: Final = 32
"""Batches are padded to a multiple of this width."""
_SORTED_BATCHES: Final = 32
"""Batches whose strips are sorted by width together: less padding, while the order stays random."""
_MAX_REPEATS: Final = 40
"""A text that occurs more often in a set is drawn as if it occurred this often."""
_UNCLEAR: Final = frozenset("\"+:';")
"""Characters of transcriptions that the alphabet lacks; such strings are left out."""
_TRANSCRIBED: Final = frozenset(ALPHABET) - {GAP}
"""Characters kept of transcriptions: a space there is a wide gap, not an empty cell."""
_HELD_OUT_SEED: Final = 900_000_000


@dataclass(frozen=True, eq=False)
class StripBatch:
    """Strips in -1..1, padded on the right with 0 to one width, and their texts."""

    inputs: Float[Tensor, "n 1 48 width"]
    texts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabelledCrop:
    """A crop, what is written on it, and how much it counts in a calibration."""

    pixels: UInt8[np.ndarray, "height width"]
    text: str
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class StripSet:
    """Packed grey strips: `columns[starts[i]:starts[i + 1]]` is strip i, 0..255, transposed."""

    columns: UInt8[np.ndarray, "total 48"]
    starts: Int64[np.ndarray, " n_and_one"]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, strips: Sequence[tuple[UInt8[np.ndarray, "48 _"], str]]) -> "StripSet":
        """Pack grey strips and their texts.

        Raises:
            DataError: a text with characters outside the alphabet of strips.
        """
        for _, text in strips:
            if unknown := sorted(set(text) - set(ALPHABET)):
                raise DataError(f"the text {text!r} contains {unknown[0]!r}; numbers are written with {ALPHABET}")
        columns = [strip.T for strip, _ in strips]
        starts = np.cumsum([0, *map(len, columns)], dtype=np.int64)
        packed = np.concatenate(columns) if columns else np.zeros((0, STRIP_PX), np.uint8)
        return cls(np.ascontiguousarray(packed), starts, tuple(text for _, text in strips))

    def save(self, path: Path) -> None:
        """Write the set, completely or not at all."""
        with write_file(path, durable=True) as file:
            np.savez(file, columns=self.columns, starts=self.starts, texts=np.array("\n".join(self.texts)))

    @classmethod
    def load(cls, path: Path) -> "StripSet":
        """Read a file written by `save`."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["columns"], stored["starts"], tuple(str(stored["texts"]).split("\n")))

    def grey(self, index: int) -> UInt8[np.ndarray, "48 _"]:
        """One strip, 0..255."""
        return np.ascontiguousarray(self.columns[self.starts[index] : self.starts[index + 1]].T)

    def pixels(self, index: int) -> Float32[np.ndarray, "48 _"]:
        """One strip as model input, -1..1."""
        return stretch_contrast(self.grey(index))

    def weights(self) -> Float64[np.ndarray, " n"]:
        """Sampling probability of each strip: texts that are repeated too often count less."""
        counts = Counter(self.texts)
        weights = np.array([min(1.0, _MAX_REPEATS / counts[text]) for text in self.texts])
        return np.asarray(weights / weights.sum())

    def batches(self, size: int) -> Iterator[StripBatch]:
        """All strips as they are, from narrow to wide."""
        order = np.argsort(np.diff(self.starts), kind="stable")
        for start in range(0, len(order), size):
            block = order[start : start + size].tolist()
            yield StripBatch(pad([self.pixels(index) for index in block]), tuple(self.texts[index] for index in block))


def pad(strips: Sequence[Float32[np.ndarray, "48 _"]]) -> Float[Tensor, "n 1 48 width"]:
    """Strips in -1..1, padded on the right with 0 to one width."""
    width = max(MIN_PADDED_PX, *(strip.shape[1] for strip in strips))
    padded = np.zeros((len(strips), 1, STRIP_PX, -(-width // _STEP_PX) * _STEP_PX), np.float32)
    for row, strip in zip(padded, strips, strict=True):
        row[0, :, : strip.shape[1]] = strip
    return torch.from_numpy(padded)


def mix_batches(
    sets: Sequence[tuple[StripSet, float]], *, size: int, steps: int, rng: np.random.Generator
) -> Iterator[StripBatch]:
    """Batches of varied strips of similar width; each set has its share of them."""
    shares = np.array([share for _, share in sets])
    weights = [strips.weights() for strips, _ in sets]
    for first in range(0, steps, _SORTED_BATCHES):
        count = min(_SORTED_BATCHES, steps - first)
        kinds = rng.choice(len(sets), size * count, p=shares / shares.sum())
        varied: list[tuple[UInt8[np.ndarray, "48 _"], str]] = []
        for (strips, _), probabilities, wanted in zip(
            sets, weights, np.bincount(kinds, minlength=len(sets)).tolist(), strict=True
        ):
            chosen = rng.choice(len(strips), wanted, p=probabilities, replace=wanted > len(strips)).tolist()
            varied += [(vary_strip(strips.grey(i), rng)[:, :MAX_WIDTH_PX], strips.texts[i]) for i in chosen]
        varied.sort(key=lambda pair: pair[0].shape[1])
        groups = [varied[start : start + size] for start in range(0, len(varied), size)]
        for index in rng.permutation(len(groups)).tolist():
            group = groups[index]
            yield StripBatch(pad([stretch_contrast(grey) for grey, _ in group]), tuple(text for _, text in group))


@dataclass(frozen=True)
class StripSource:
    """Draws a recipe's strips with all real hands in `folder`; it can be sent to another process."""

    recipe: Recipe
    folder: Path

    def draw(self, number: int) -> StripSet:
        """Strip set number `number`."""
        return self._draw(self.recipe.lines, self.recipe.drawn_from * 1_000_003 + number, held_out=False)

    def draw_held_out(self, count: int) -> StripSet:
        """Strips by hands that are never trained on."""
        return self._draw(count, self.recipe.drawn_from + _HELD_OUT_SEED, held_out=True)

    def _draw(self, count: int, seed: int, *, held_out: bool) -> StripSet:
        people, marks = load_people(self.folder, held_out=held_out), load_marks(self.folder)
        rng = np.random.default_rng(seed)
        crops = (draw_crop(rng, hands=people, marks=marks, mix=MIX) for _ in range(count))
        return StripSet.of([(scale_to_strip(crop.pixels), crop.text) for crop in crops])

    def held_out_crops(self, count: int, trusts: Trusts) -> Iterator[LabelledCrop]:
        """Crops to calibrate on: real strings of validation writers, then `count` drawn ones by held-out hands.

        Both kinds weigh the same in total: real strings are what is read later, drawn ones show what may also occur.
        Digits and marks that `trusts` rejects are not drawn.
        """
        real = [crop for name in STRING_SETS for crop in _read_part(self.folder, name, "validation")]
        yield from (LabelledCrop(page, text) for page, text in real)
        people = [hands.only(trusts) for hands in load_people(self.folder, held_out=True)]
        marks = load_marks(self.folder)
        marks = list(itertools.compress(marks, trusts(marks, None)))
        rng = np.random.default_rng(self.recipe.drawn_from + _HELD_OUT_SEED)
        for _ in range(count):
            crop = draw_crop(rng, hands=people, marks=marks, mix=MIX)
            yield LabelledCrop(crop.pixels, crop.text, len(real) / count)

    def strings(self, part: Part) -> list[StripSet]:
        """One part of each set of real strings, and for training the pictures in the recipe's own tables.

        Raises:
            DataError: a table or a picture is missing or damaged.
        """
        sets = [list(_read_part(self.folder, name, part)) for name in STRING_SETS]
        if part == "train":
            sets += [list(_read_table(Path(table))) for table in self.recipe.strings]
        return [StripSet.of([(scale_to_strip(page), text) for page, text in strings]) for strings in sets if strings]


def _read_part(folder: Path, name: str, part: Part) -> Iterator[tuple[UInt8[np.ndarray, "_ _"], str]]:
    """The crops and texts of one part of a set under strings/, by writer."""
    table = folder / "strings" / name / "labels.csv"
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            kept = [part_of(name, row["writer"]) == part for row in csv.DictReader(file)]
    except OSError as error:
        raise DataError(f"{table}: cannot be read: {error.strerror}; number models learn from that set") from None
    return _read_table(table, kept=kept, corrected=WRONG_LABELS.get(name, {}))


def _read_table(
    table: Path, *, kept: Sequence[bool] | None = None, corrected: Mapping[int, str] = MappingProxyType({})
) -> Iterator[tuple[UInt8[np.ndarray, "_ _"], str]]:
    """The crops of a table and their texts, without characters that the alphabet lacks; `corrected`: texts by row."""
    for index, item in enumerate(load_strings(table)):
        text = corrected.get(index, item.text)
        if (kept is None or kept[index]) and not _UNCLEAR & set(text):
            yield item.page, "".join(character for character in text if character in _TRANSCRIBED)
