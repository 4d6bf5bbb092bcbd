"""The worker of a batch: it loads the model once and turns inputs into rows. Every driver uses this class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from handigit.batch.inputs import Input
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import PageReading, Reader, read_batch, read_document
from handigit.records import ANYTHING, Expected, Kind, Number, Outcome, value_to_json

Row = dict[str, Any]
"""One number, or the error of one input; its keys are the columns of `handigit.batch.parts.SCHEMA`."""
_PAGED: Final = frozenset({".pdf", ".tif", ".tiff", ".gif"})
"""Formats that may have several pages."""


class BatchError(HandigitError):
    """A batch that cannot be started, resumed or continued."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read and how. `keep_doubts`: return the pages of uncertain numbers, for the review queue."""

    kind: Kind = "page"
    model: str | None = None
    target_error: float = 0.01
    expected: Expected = ANYTHING
    limits: Limits = Limits()
    keep_doubts: bool = False

    def reader(self, *, threads: int = 1) -> Reader:
        """A reader with these options."""
        return Reader(self.model, target_error=self.target_error, threads=threads, limits=self.limits)


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """An uncertain number with its page (grey) and its index among the page's numbers, from 1."""

    number: Number
    index: int
    page: np.ndarray


@dataclass(slots=True, eq=False)
class InputResult:
    """The result for one input: rows, number of pages, and the kind of error that ended it, if any."""

    input: Input
    digest: str = ""
    rows: list[Row] = field(default_factory=list)
    pages: int = 0
    error: str | None = None
    doubts: list[Doubt] = field(default_factory=list)

    def fail(self, kind: str, message: str) -> "InputResult":
        """End with an error, which becomes a row of its own; rows of earlier pages are kept."""
        self.error = kind
        row = dict.fromkeys(COLUMNS)
        self.rows.append(row | {"source": self.input.name, "digest": self.digest, "page": self.pages, "error": message})
        return self


COLUMNS: Final = (
    *("source", "digest", "page", "index", "outcome", "raw", "text", "value", "confidence"),
    *("left", "top", "right", "bottom", "alternatives", "model", "model_digest", "error"),
)


class BatchWorker:
    """Reads inputs one after another; the model is loaded on first use.

    Raises:
        HandigitError: invalid options, such as a missing model.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.reader = options.reader()

    def load(self) -> None:
        """Load the model now."""
        self.reader.engine_for(self.options.kind)

    def read(self, inputs: Sequence[Input]) -> list[InputResult]:
        """One result per input, in order; an input that fails has its error and the others are read."""
        results = [InputResult(item.without_content()) for item in inputs]
        together: list[tuple[InputResult, bytes]] = []
        for item, result in zip(inputs, results, strict=True):
            try:
                content = item.read()
            except HandigitError as error:
                result.fail(type(error).__name__, str(error))
                continue
            except Exception as error:  # such as MemoryError, or any error of a file system
                result.fail(type(error).__name__, f"{item.source}: cannot be read: {type(error).__name__}: {error}")
                continue
            result.digest = sha256(content).hexdigest()
            if self._is_single(item):
                together.append((result, content))
            else:
                self._read_pages(result, content)
        self._read_together(together)
        return results

    def _is_single(self, item: Input) -> bool:
        # Digits alone: a run of the number model on several crops gives each slightly other confidences than alone, so
        # the rows of a resumed batch, whose chunks are other ones, would differ (3 of 120 crops did).
        return self.options.kind == "digit" and PurePosixPath(item.entry or item.source).suffix.lower() not in _PAGED

    def _read_together(self, inputs: Sequence[tuple[InputResult, bytes]]) -> None:
        """Read pictures of one digit each in one run of the model."""
        if not inputs:
            return
        try:
            readings = read_batch(self.reader, [content for _, content in inputs], self.options.kind)
        except Exception:  # one picture must not fail the others: each is read alone
            for result, content in inputs:
                self._read_pages(result, content)
            return
        for (result, _), reading in zip(inputs, readings, strict=True):
            if isinstance(reading, Exception):
                result.fail(type(reading).__name__, f"{result.input.source}: {reading}")
            else:
                self._add_page(result, reading)

    def _read_pages(self, result: InputResult, content: bytes) -> None:
        """Read a document page by page."""
        try:
            for reading in read_document(self.reader, content, self.options.kind, expected=self.options.expected):
                self._add_page(result, reading)
        except HandigitError as error:
            result.fail(type(error).__name__, f"{result.input.source}: {error}")
        except Exception as error:  # an unexpected error of a library costs one input, not the batch
            result.fail(type(error).__name__, f"{result.input.source}: {type(error).__name__}: {error}")

    def _add_page(self, result: InputResult, reading: PageReading) -> None:
        for index, number in enumerate(reading.numbers, start=1):
            result.rows.append(to_row(result, number, index, reading))
            if self.options.keep_doubts and number.outcome is Outcome.DOUBT:
                result.doubts.append(Doubt(number, index, reading.page))
        result.pages += 1


def to_row(result: InputResult, number: Number, index: int, reading: PageReading) -> Row:
    """A number as a row; `value` is text, so that decimals are exact and dates are ISO 8601."""
    sides = number.box.as_list() if number.box else [None] * 4
    value = value_to_json(number.value)
    return {
        "source": result.input.name,
        "digest": result.digest,
        "page": number.page,
        "index": index,
        "outcome": number.outcome.value,
        "raw": number.raw,
        "text": number.text,
        "value": None if value is None else str(number.value),
        "confidence": round(number.confidence, 6),
        **dict(zip(("left", "top", "right", "bottom"), sides, strict=True)),
        "alternatives": [{"text": text, "confidence": round(p, 6)} for text, p in number.alternatives],
        "model": reading.model,
        "model_digest": reading.digest,
        "error": None,
    }
