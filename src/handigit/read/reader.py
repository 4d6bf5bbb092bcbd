"""The public reader: pictures in, digits and numbers out."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from handigit.errors import ModelError
from handigit.images import Limits, Source, Views, open_pages, views_of
from handigit.images.cancellation import check_cancelled
from handigit.images.polarity import reduce_large
from handigit.images.sheet import without_table
from handigit.read.crops import CropStrips, read_crops
from handigit.read.digit_engine import BATCH, Engine
from handigit.read.digits import BLANK_DIGIT, read_digits
from handigit.read.engine import EMBEDDED
from handigit.read.number_engine import NumberEngine
from handigit.read.numbers import BLANK, ReadOptions, combine
from handigit.read.pages import PageRegions, is_page, prefers_digit, read_upright, reconcile
from handigit.read.patterns import date_order, parse_alphabet, parse_pattern
from handigit.read.prefetch import Item, map_chunks, prefetch
from handigit.records import Digit, Kind, Number
from handigit.segment import Region, may_be_several

_CHUNK: Final = 16
"""Crops that one thread reads at a time."""
SECOND_MODEL: Final = "number-second.onnx"
CROP_BATCH: Final = 64
"""Crops that are prepared together."""


class Reader:
    """Reads handwritten digits and numbers from pictures.

    `model_dir`: a folder that contains `digit.onnx`, `number.onnx` or both, or an .onnx file; None for the models
    inside the package.
    `target_error`: the wanted fraction of wrong answers among those `read`; less certain ones are a `doubt`.
    `threads`: processor threads, None for all. `limits`: the largest pictures that are decoded.
    Models are loaded on first use. Calls from several threads at once are safe.

    Raises:
        ModelError: no model at `model_dir`.
        ValueError: a `target_error` outside 0..1, or no threads.
    """

    def __init__(
        self,
        model_dir: str | Path | None = None,
        *,
        target_error: float = 0.01,
        threads: int | None = None,
        limits: Limits = Limits(),
    ) -> None:
        if not 0 < target_error < 1:
            raise ValueError(f"target_error = {target_error} is not between 0 and 1; 0.01 means one wrong in a hundred")
        if threads is not None and threads < 1:
            raise ValueError(f"threads = {threads}; give 1 or more, or None for all processors")
        self.target_error = target_error
        self.threads = threads or os.cpu_count() or 1
        self.limits = limits
        self.model_path = _check_model_path(Path(model_dir) if model_dir is not None else EMBEDDED)

    def __reduce__(self) -> tuple[Callable[[], "Reader"], tuple[()]]:
        """Pickle the settings; the copy loads its own models, in any process."""
        settings: dict[str, Any] = {"target_error": self.target_error, "threads": self.threads, "limits": self.limits}
        return partial(Reader, self.model_path, **settings), ()

    @cached_property
    def engine(self) -> Engine:
        """The digit model, loaded on first use."""
        return Engine(_model_file(self.model_path, "digit.onnx"), threads=self._model_threads)

    @cached_property
    def number_engine(self) -> NumberEngine:
        """The number model, loaded on first use."""
        return NumberEngine(_model_file(self.model_path, "number.onnx"), threads=1)

    @property
    def engines(self) -> tuple[Engine | NumberEngine, ...]:
        """The models that `model_dir` contains, loaded: for digits, for numbers, or both.

        Raises:
            ModelError: one of them cannot be run.
        """
        path = self.model_path
        digits = (self.engine,) if path.is_file() or (path / "digit.onnx").is_file() else ()
        return (*digits, self.number_engine) if (path / "number.onnx").is_file() else digits

    def model_name(self, kind: Kind) -> str:
        """Name and digest of the model that reads this kind, such as "digit-1f0c93ab"."""
        engine = self.engine_for(kind)
        return f"{engine.card.name}-{engine.digest[:8]}"

    def engine_for(self, kind: Kind) -> Engine | NumberEngine:
        """The model that reads this kind."""
        return self.engine if kind == "digit" else self.number_engine

    @cached_property
    def second_engine(self) -> NumberEngine | None:
        """The number model that checks the first, with which the first's card was calibrated; None if there is none.

        It is looked for beside the first model, then among those inside the package.

        Raises:
            ModelError: the card names a second model that is nowhere.
        """
        combination = self.number_engine.card.combination
        if combination is None:
            return None
        folders = (self.model_path if self.model_path.is_dir() else self.model_path.parent, EMBEDDED)
        for file in (folder / SECOND_MODEL for folder in folders):
            if file.is_file():
                engine = NumberEngine(file, threads=1)
                if engine.digest == combination.partner:
                    return engine
        raise ModelError(
            f"{self.model_path}: its number model was calibrated with a second one, sha256 {combination.partner[:16]};"
            f" put that beside it as {SECOND_MODEL}"
        )

    @property
    def _preprocess_threads(self) -> int:
        return max(1, self.threads // 2)

    @property
    def _model_threads(self) -> int:
        """The remaining threads: preprocessing and the model with all threads each would wait for one another."""
        return max(1, self.threads - self._preprocess_threads)

    def digit(self, image: Source) -> Digit:
        """Read a picture of one digit; of several pages, the first.

        Raises:
            ImageError: a picture that cannot be used (`UnreadableImage`, `ImageTooLarge`).
            ModelError: a model that cannot be used.
        """
        return self._to_digits([self._views(image)])[0]

    def digits(self, images: Iterable[Source]) -> list[Digit]:
        """Read many pictures of one digit each, in order.

        Raises:
            ImageError: as `digit`, with the picture's index, counted from 0.
            ModelError: a model that cannot be used.
        """
        batches = self._prefetch(images, self._views, batch=BATCH)
        return [digit for views in batches for digit in self._to_digits(views)]

    def digit_on(self, page: UInt8[np.ndarray, "height width"]) -> Digit:
        """Read a page from `open_pages`, ink dark on light; its polarity is not judged again.

        Raises:
            ModelError: a model that cannot be used.
        """
        return self.digits_on([page])[0]

    def digits_on(self, pages: Sequence[UInt8[np.ndarray, "_ _"]]) -> list[Digit]:
        """Read pages from `open_pages`, one digit each, in one run of the model.

        Raises:
            ModelError: a model that cannot be used.
        """
        return self._to_digits([views_of(page) for page in pages])

    def number(self, image: Source, *, pattern: str | None = None, alphabet: str | None = None) -> Number:
        r"""Read a crop of one number; of several pages, the first.

        `pattern`: format of its digits, as a regular expression (`\d{5}`) or a template (`YYYY`). `alphabet`: the
        characters that may occur, such as `0123456789` where neither slash nor dash is possible.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
            PatternError: an invalid pattern, or an alphabet with characters that the model does not know.
        """
        return self._to_numbers([self._crop(image)], self._options(pattern, alphabet))[0]

    def numbers(
        self, images: Iterable[Source], *, pattern: str | None = None, alphabet: str | None = None
    ) -> list[Number]:
        """Read many crops of one number each, in order.

        Raises:
            ImageError: as `number`, with the picture's index, counted from 0.
            ModelError: a model that cannot be used.
            PatternError: as `number`.
        """
        options = self._options(pattern, alphabet)
        batches = self._prefetch(images, self._crop, batch=CROP_BATCH)
        return [number for crops in batches for number in self._to_numbers(crops, options)]

    def numbers_on(
        self,
        crops: Sequence[UInt8[np.ndarray, "_ _"]],
        *,
        pattern: str | None = None,
        alphabet: str | None = None,
        max_alternatives: int | None = None,
    ) -> list[Number]:
        """Read crops of pages from `open_pages`, ink dark on light; boxes are in pixels of each crop.

        `max_alternatives`: length of each number's list of other texts, 12 by default; the beam finds at most 48.

        Raises:
            ModelError: a model that cannot be used.
            PatternError: as `number`.
        """
        options = self._options(pattern, alphabet)
        if max_alternatives is not None:
            options = replace(options, max_alternatives=max_alternatives)
        return self._to_numbers([self._strips(crop) for crop in crops], options)

    def page(self, image: Source) -> list[Number]:
        """Every number on each page of a picture or document, in reading order.

        Boxes are in pixels of the page as given; regions without a number are left out.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
        """
        pages = enumerate(open_pages(image, limits=self.limits))
        return [replace(number, page=index) for index, page in pages for number in self.page_on(page)]

    def page_on(self, page: UInt8[np.ndarray, "height width"]) -> list[Number]:
        """Every number on a page from `open_pages`, ink dark on light, in reading order.

        A sheet on a table is found first and its perspective undone. A page that is rotated or askew is read upright
        where its lines show how. A field or a region as high as the numbers that cannot be read is `not_a_number`.

        Raises:
            ModelError: a model that cannot be used.
        """
        regions = PageRegions.of(page)
        return read_upright(page, regions, self._numbers_in(regions), self._numbers_in)

    def read(self, image: Source) -> list[Number]:
        """Read a picture or document of any kind: one digit, one number or a page of numbers, found out per page.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
        """
        pages = enumerate(open_pages(image, limits=self.limits))
        return [replace(number, page=index) for index, page in pages for number in self.read_on(page)[1]]

    def read_on(
        self, page: UInt8[np.ndarray, "height width"], *, pattern: str | None = None, alphabet: str | None = None
    ) -> tuple[Kind, list[Number]]:
        """The kind of a page from `open_pages`, and its numbers; pattern and alphabet apply to a single number.

        Raises:
            ModelError: a model that cannot be used.
            PatternError: as `number`.
        """
        check_cancelled()
        reduced = reduce_large(page)
        clean = without_table(reduced)
        size = (page.shape[0], page.shape[1])
        (number,) = self._to_numbers([CropStrips.of(clean, size=size)], self._options(pattern, alphabet))
        digit = self._to_digits([views_of(page, clean=clean)])[0].as_number()
        has_table = clean is not reduced
        is_likely = has_table or may_be_several(clean)
        del reduced, clean  # 16 MB each of a large page
        if is_likely:
            regions = PageRegions.of(page, has_table=has_table)
            numbers = self._numbers_in(regions) if regions.are_several else []
            if numbers and is_page(regions, numbers, digit=digit, number=number):
                return "page", read_upright(page, regions, numbers, self._numbers_in)
        if pattern is None and alphabet is None and prefers_digit(digit, number):
            return "digit", [reconcile(digit, number)]
        return "number", [number]

    def _numbers_in(self, regions: PageRegions) -> list[Number]:
        return self._to_numbers([_strips_of(region) for region in regions.regions], self._options(None, None))

    def _prefetch(
        self, images: Iterable[Source], prepare: Callable[[Source], Item], *, batch: int
    ) -> Iterator[list[Item]]:
        return prefetch(images, prepare, threads=self._preprocess_threads, batch=batch, max_ahead=self.threads)

    def _options(self, pattern: str | None, alphabet: str | None) -> ReadOptions:
        constraint = parse_pattern(pattern) if pattern is not None else None
        if alphabet is not None:
            allowed = parse_alphabet(alphabet, self.number_engine.card.alphabet)
            constraint = constraint.also(allowed) if constraint else allowed
        return ReadOptions(self.target_error, constraint, date_order(pattern) if pattern else None)

    def _crop(self, image: Source) -> CropStrips:
        return self._strips(next(iter(open_pages(image, limits=self.limits))))

    def _strips(self, crop: UInt8[np.ndarray, "height width"]) -> CropStrips:
        check_cancelled()
        return CropStrips.of(without_table(reduce_large(crop)), size=(crop.shape[0], crop.shape[1]))

    def _views(self, image: Source) -> Views:
        return views_of(next(iter(open_pages(image, limits=self.limits))))

    def _to_numbers(self, crops: Sequence[CropStrips], options: ReadOptions) -> list[Number]:
        """Read each crop with both number models, and combine their readings.

        Threads take chunks of crops: two threads inside one run of such small models are slower than one.
        """
        if all(crop.strip is None for crop in crops):
            return [BLANK] * len(crops)  # without running a model
        engine, second = self.number_engine, self.second_engine

        def read_chunk(chunk: Sequence[CropStrips]) -> list[Number]:
            readings = read_crops(engine, second, chunk, constraint=options.constraint)
            return [
                BLANK if reading is None else combine(reading, engine.card, options, size=crop.size)
                for crop, reading in zip(chunk, readings, strict=True)
            ]

        return map_chunks(read_chunk, crops, threads=self.threads, size=_CHUNK)

    def _to_digits(self, views: Sequence[Views]) -> list[Digit]:
        if not any(view.found or view.frame is not None for view in views):
            return [BLANK_DIGIT] * len(views)  # without loading a model
        return read_digits(self.engine, views, target_error=self.target_error)


def _strips_of(region: Region) -> CropStrips:
    check_cancelled()
    return CropStrips.of(region.pixels)


def _check_model_path(path: Path) -> Path:
    """The path, if it is a model's file or a folder with at least one model.

    Raises:
        ModelError: no model there.
    """
    files = [path / name for name in ("digit.onnx", "number.onnx")] if path.is_dir() else [path]
    if not any(file.is_file() for file in files):
        raise ModelError(
            f"{path}: no model there; give a folder that contains digit.onnx or number.onnx, or the path of an .onnx"
            " file"
        )
    return path


def _model_file(path: Path, name: str) -> Path:
    """The model of that name in a folder, or the file itself.

    Raises:
        ModelError: the folder contains only the other model.
    """
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"{path} contains no {name}; put one there, or omit the model to use the built-in one")
    return file
