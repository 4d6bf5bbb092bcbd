"""Pictures in, digits out: the reading half's public face.

It joins the other rooms (pages and their views, the engine, beliefs, confidence) and keeps the order; it knows nothing
of formats, strokes or networks.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from handigit.errors import ImageError, ModelError
from handigit.images import Limits, Source, Views, open_pages, views_of
from handigit.read.belief import Belief, beliefs
from handigit.read.confidence import outcome
from handigit.read.engine import BATCH, Engine
from handigit.records import Digit, Outcome

EMBEDDED: Final = Path(__file__).parents[1] / "weights"
"""The models inside the package."""


class Reader:
    """Reads handwritten digits from pictures.

    `model_dir`: a folder that holds `digit.onnx`, or an .onnx file; None for the models inside the package.
    `target_error`: the wanted share of wrong answers among those `read`; what is less sure is a `doubt`.
    `threads`: processor threads, None for all; `limits`: the largest pictures that are decoded.
    The model is loaded when first needed. Calls from several threads at once are safe.

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
        self.model_path = _digit_model(Path(model_dir) if model_dir is not None else EMBEDDED)

    @cached_property
    def engine(self) -> Engine:
        """The digit model, loaded on first use."""
        return Engine(self.model_path, threads=max(1, self.threads - self._finders))

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
        return self._answers([views_of(page)])[0]

    def digits(self, images: Iterable[Source]) -> list[Digit]:
        """Read many pictures of one digit each; the answers stand in the same order.

        Raises:
            ImageError: as `digit`, naming the picture by its place, counted from 0.
            ModelError: a model that cannot be used.
        """
        answers: list[Digit] = []
        with ThreadPoolExecutor(self._finders) as pool:
            for views in self._in_order(pool, images):
                answers += self._answers(views)
        return answers

    def _in_order(self, pool: ThreadPoolExecutor, images: Iterable[Source]) -> Iterator[list[Views]]:
        """Batches of pages as they may be seen, prepared ahead of the model, but never so far that memory grows."""
        waiting: deque[Future[list[Views]]] = deque()
        numbered = enumerate(images)
        while batch := list(islice(numbered, BATCH)):
            waiting.append(pool.submit(self._views_of_all, batch))
            if len(waiting) > self.threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _views_of_all(self, batch: Sequence[tuple[int, Source]]) -> list[Views]:
        views = []
        for number, image in batch:
            try:
                views.append(self._views(image))
            except ImageError as problem:
                raise type(problem)(f"image {number}: {problem}") from None
        return views

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


def _digit_model(place: Path) -> Path:
    """The digit model's file in a folder, or the file itself."""
    path = place / "digit.onnx" if place.is_dir() else place
    if not path.is_file():
        raise ModelError(f"{path}: no model there; give a folder that holds digit.onnx, or the path of an .onnx file")
    return path
