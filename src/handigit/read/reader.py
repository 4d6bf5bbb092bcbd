"""Pictures in, digits and numbers out: the reading half's public face.

It joins the other rooms (pages, views and lines, the engines, beliefs, decoding, confidence) and keeps the order; it
knows nothing of formats, strokes or networks.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from jaxtyping import UInt8

from handigit.errors import ImageError, ModelError
from handigit.images import Limits, Source, Views, open_pages, views_of
from handigit.images.orientation import upright
from handigit.read.ctc import constraint
from handigit.read.digits import Belief, beliefs
from handigit.read.engine import BATCH, Engine, LineEngine, outcome
from handigit.read.hypotheses import look
from handigit.read.numbers import BLANK, Seen, Wanted, in_cells, number_on, surer
from handigit.records import Digit, Number, Outcome
from handigit.segment.regions import find_lines

Ready = TypeVar("Ready")


def prepared_ahead(
    images: Iterable[Source], prepare: Callable[[Source], Ready], *, threads: int, batch: int, waiting: int
) -> Iterator[list[Ready]]:
    """Batches of what `prepare` makes of the images, in their order; at most `waiting` batches lie ready.

    Raises:
        ImageError: as `prepare`, naming the picture by its place, counted from 0.
    """
    numbered = enumerate(images)
    queue: deque[Future[list[Ready]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(numbered, batch)):
            queue.append(pool.submit(_prepared, some, prepare))
            if len(queue) > waiting:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _prepared(batch: Sequence[tuple[int, Source]], prepare: Callable[[Source], Ready]) -> list[Ready]:
    ready = []
    for place, image in batch:
        try:
            ready.append(prepare(image))
        except ImageError as problem:
            raise type(problem)(f"image {place}: {problem}") from None
    return ready


EMBEDDED: Final = Path(__file__).parents[1] / "weights"
"""The models inside the package."""
LINES: Final = 64
"""Crops that are prepared together."""


class Reader:
    """Reads handwritten digits and numbers from pictures.

    `model_dir`: a folder that holds `digit.onnx` and `number.onnx`, or one of them, or an .onnx file; None for the
    models inside the package.
    `target_error`: the wanted share of wrong answers among those `read`; what is less sure is a `doubt`.
    `threads`: processor threads, None for all; `limits`: the largest pictures that are decoded.
    A model is loaded when first needed; for numbers the package's digit model too, which has a say in doubts. Calls
    from several threads at once are safe.

    Raises:
        ModelError: no model there.
        ValueError: a `target_error` outside 0..1.
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
        self.target_error = target_error
        self.threads = threads or os.cpu_count() or 1
        self.limits = limits
        self.model_path = _model_at(Path(model_dir) if model_dir is not None else EMBEDDED)

    @cached_property
    def engine(self) -> Engine:
        """The digit model, loaded on first use."""
        return Engine(_model_file(self.model_path, "digit.onnx"), threads=max(1, self.threads - self._finders))

    @cached_property
    def line_engine(self) -> LineEngine:
        """The number model, loaded on first use."""
        return LineEngine(_model_file(self.model_path, "number.onnx"), threads=max(1, self.threads - self._finders))

    @property
    def engines(self) -> tuple[Engine | LineEngine, ...]:
        """What runs each model that is there, loaded: that of digits, that of numbers, or both.

        Raises:
            ModelError: one of them cannot be run.
        """
        place = self.model_path
        digits = (self.engine,) if place.is_file() or (place / "digit.onnx").is_file() else ()
        return (*digits, self.line_engine) if (place / "number.onnx").is_file() else digits

    @cached_property
    def _digits_asked(self) -> Engine:
        """The digit model that has a say in doubts: the package's, with which number models are calibrated."""
        shared = self.model_path == EMBEDDED
        return self.engine if shared else Engine(EMBEDDED / "digit.onnx", threads=max(1, self.threads - self._finders))

    @property
    def _finders(self) -> int:
        """Threads that find ink while the rest run the model: all of both at once would only wait for one another."""
        return max(1, self.threads // 2)

    def digit(self, image: Source) -> Digit:
        """Read a picture that holds one digit; of several pages, the first.

        Raises:
            ImageError: a picture that cannot be used (`UnreadableImage`, `ImageTooLarge`).
            ModelError: a model that cannot be used.
        """
        return self._answers([self._views(image)])[0]

    def digit_on(self, page: UInt8[np.ndarray, "height width"]) -> Digit:
        """Read a page that `open_pages` gave: ink dark on light, so that its polarity is not judged again.

        Raises:
            ModelError: a model that cannot be used.
        """
        return self.digits_on([page])[0]

    def digits_on(self, pages: Sequence[UInt8[np.ndarray, "_ _"]]) -> list[Digit]:
        """Read pages that `open_pages` gave, one digit each, by one run of the model.

        Raises:
            ModelError: a model that cannot be used.
        """
        return self._answers([views_of(page) for page in pages])

    def digits(self, images: Iterable[Source]) -> list[Digit]:
        """Read many pictures of one digit each; the answers stand in the same order.

        Raises:
            ImageError: as `digit`, naming the picture by its place, counted from 0.
            ModelError: a model that cannot be used.
        """
        batches = self._ahead(images, self._views, batch=BATCH)
        return [answer for views in batches for answer in self._answers(views)]

    def number(self, image: Source, *, pattern: str | None = None, alphabet: str | None = None) -> Number:
        r"""Read a picture that holds one number and what little lies around it; of several pages, the first.

        `pattern`: what its digits may be, as a regular expression (`\d{5}`) or a template (`YYYY`); `alphabet`: the
        characters that may be written there, such as `0123456789` where no slash can be meant and no dash.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
            PatternError: a pattern that is none, or an alphabet with characters that no number model knows.
        """
        return self._numbers([self._seen(image)], self._wanted(pattern, alphabet))[0]

    def numbers(
        self, images: Iterable[Source], *, pattern: str | None = None, alphabet: str | None = None
    ) -> list[Number]:
        """Read many pictures of one number each; the answers stand in the same order.

        Raises:
            ImageError: as `number`, naming the picture by its place, counted from 0.
            ModelError: a model that cannot be used.
            PatternError: as `number`.
        """
        wanted = self._wanted(pattern, alphabet)
        batches = self._ahead(images, self._seen, batch=LINES)
        return [answer for seen in batches for answer in self._numbers(seen, wanted)]

    def numbers_on(
        self, crops: Sequence[UInt8[np.ndarray, "_ _"]], *, pattern: str | None = None, alphabet: str | None = None
    ) -> list[Number]:
        """Read crops of pages that `open_pages` gave, ink dark on light; boxes are in pixels of each crop.

        Raises:
            ModelError: a model that cannot be used.
            PatternError: as `number`.
        """
        return self._numbers([Seen.on(crop) for crop in crops], self._wanted(pattern, alphabet))

    def page(self, image: Source) -> list[Number]:
        """Every number found on each page of a picture or document, in reading order.

        Boxes are in pixels of the page as given; what holds no number is left out.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
        """
        pages = enumerate(open_pages(image, limits=self.limits))
        return [replace(number, page=place) for place, page in pages for number in self.page_on(page)]

    def page_on(self, page: UInt8[np.ndarray, "height width"]) -> list[Number]:
        """Every number on a page that `open_pages` gave, ink dark on light, in reading order.

        A page that lies on its side, on its head or askew is read upright where it says how it lies.

        Raises:
            ModelError: a model that cannot be used.
        """
        lying = upright(page)
        regions = find_lines(lying.page)
        numbers = self.numbers_on([region.pixels for region in regions])
        size = page.shape[0], page.shape[1]
        return [
            number.placed(lambda box, region=region: lying.on_given(region.on_page(box), size=size))  # type: ignore[misc]
            for region, number in zip(regions, numbers, strict=True)
            if number.text
        ]

    def _ahead(
        self, images: Iterable[Source], prepare: Callable[[Source], Ready], *, batch: int
    ) -> Iterator[list[Ready]]:
        return prepared_ahead(images, prepare, threads=self._finders, batch=batch, waiting=self.threads)

    def _wanted(self, pattern: str | None, alphabet: str | None) -> Wanted:
        within = constraint(pattern) if pattern is not None else None
        barred = self.line_engine.barred(alphabet) if alphabet is not None else ()
        return Wanted(self.target_error, within, barred)

    def _seen(self, image: Source) -> Seen:
        """The line on the first page."""
        return Seen.on(next(iter(open_pages(image, limits=self.limits))))

    def _numbers(self, seen: Sequence[Seen], wanted: Wanted) -> list[Number]:
        """What the number model and its card say to each line; to cells, where they are surer, one by one."""
        numbers = self._in_one(seen, wanted)
        return [
            self._in_cells(one, number, wanted) if one.line and one.line.boxed else number
            for one, number in zip(seen, numbers, strict=True)
        ]

    def _in_one(self, seen: Sequence[Seen], wanted: Wanted) -> list[Number]:
        """Each line read as a whole."""
        lines = [one.line.pixels for one in seen if one.line is not None]
        if not lines:
            return [BLANK] * len(seen)  # the model need not be loaded
        asked = self._digits_asked
        looked = iter(look(self.line_engine, lines, digits=asked, within=wanted.within, barred=wanted.barred))
        return [number_on(one, next(looked), self.line_engine.card, wanted) if one.line else BLANK for one in seen]

    def _in_cells(self, seen: Seen, number: Number, wanted: Wanted) -> Number:
        """The number in a row of cells: what was read in one, or what the cells hold, whichever is surer."""
        if number.outcome is Outcome.READ:
            return number
        regions = find_lines(seen.crop)
        parts = self._in_one([Seen.on(region.pixels) for region in regions], replace(wanted, within=None))
        placed = [part.placed(region.on_page) for part, region in zip(parts, regions, strict=True)]
        return surer(number, in_cells(placed), wanted, self.line_engine.card)

    def _views(self, image: Source) -> Views:
        """The ways to see the first page."""
        return views_of(next(iter(open_pages(image, limits=self.limits))))

    def _answers(self, views: Sequence[Views]) -> list[Digit]:
        """What the model and its card say to each."""
        if not any(one.found or one.frame is not None for one in views):
            return [_BLANK] * len(views)  # the model need not be loaded
        return [_BLANK if belief is None else self._answer(belief) for belief in beliefs(self.engine, views)]

    def _answer(self, belief: Belief) -> Digit:
        shares = belief.shares.tolist()
        confidence = max(shares)
        result = outcome(self.engine.card, confidence=confidence, target_error=self.target_error)
        return Digit(
            outcome=result,
            value=None if result is Outcome.NOT_A_NUMBER else shares.index(confidence),
            confidence=confidence,
            probabilities=tuple(shares),
            box=belief.box,
            glyph=belief.glyph,
        )


_BLANK: Final = Digit(outcome=Outcome.BLANK, value=None, confidence=0.0, probabilities=(0.1,) * 10, box=None)


def _model_at(place: Path) -> Path:
    """The folder with at least one model, or the model's file.

    Raises:
        ModelError: nothing there.
    """
    files = [place / name for name in ("digit.onnx", "number.onnx")] if place.is_dir() else [place]
    if not any(file.is_file() for file in files):
        raise ModelError(
            f"{place}: no model there; give a folder that holds digit.onnx or number.onnx, or the path of an .onnx file"
        )
    return place


def _model_file(place: Path, name: str) -> Path:
    """The model of that name in a folder, or the file itself.

    Raises:
        ModelError: the folder has the other one only.
    """
    path = place / name if place.is_dir() else place
    if not path.is_file():
        raise ModelError(f"{place} holds no {name}; put one there, or leave the model out to use the embedded one")
    return path
