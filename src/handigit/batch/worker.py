"""The worker of a batch: it loads the model once and turns inputs into rows. Every driver uses this class."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import cv2

from handigit.batch.inputs import Input
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import PageReading, Reader, read_batch, read_document
from handigit.records import ANYTHING, Expected, Number, Outcome, ReadAs, value_to_json

if TYPE_CHECKING:
    from handigit.forms import FormReader, Record
    from handigit.forms.reader import ReadForm
    from handigit.store.pictures import Picture

Row = dict[str, Any]
"""One number, one record of a form, or the error of one input; its keys are `COLUMNS`."""
_PAGED: Final = frozenset({".pdf", ".tif", ".tiff", ".gif"})
"""Formats that may have several pages."""


class BatchError(HandigitError):
    """A batch that cannot be started, resumed or continued."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read. `keep_doubts`: return the pages of uncertain numbers and of all forms, for review.

    `templates`: paths or names of form templates; then records are read instead of numbers.
    """

    kind: ReadAs = "auto"
    model: str | None = None
    target_error: float = 0.01
    expected: Expected = ANYTHING
    limits: Limits = Limits()
    keep_doubts: bool = False
    templates: tuple[str, ...] = ()

    def reader(self, *, threads: int = 1) -> Reader:
        """A reader with these options."""
        return Reader(self.model, target_error=self.target_error, threads=threads, limits=self.limits)


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """An uncertain number: its page (grey), its index among the page's numbers from 1, and how the page was read."""

    number: Number
    index: int
    reading: PageReading


@dataclass(frozen=True, slots=True, eq=False)
class KeptForm:
    """A record of a form for the store: its JSON, its key, and its pages, encoded here since that takes long."""

    content: dict[str, Any]
    key: str
    pages: "tuple[Picture, ...]"

    @classmethod
    def of(cls, form: "ReadForm") -> "KeptForm":
        """The record and pages of a form."""
        from handigit.store.pictures import encode

        return cls(form.record.to_json(), form.key, tuple(map(encode, form.pictures)))


@dataclass(slots=True, eq=False)
class InputResult:
    """The result for one input: rows, number of pages, and the kind of error that ended it, if any."""

    input: Input
    digest: str = ""
    rows: list[Row] = field(default_factory=list)
    pages: int = 0
    error: str | None = None
    doubts: list[Doubt] = field(default_factory=list)
    forms: list[KeptForm] = field(default_factory=list)

    def fail(self, kind: str, message: str) -> "InputResult":
        """End with an error, which becomes a row of its own; rows of earlier pages are kept."""
        self.error = kind
        row = dict.fromkeys(COLUMNS)
        self.rows.append(row | {"source": self.input.name, "digest": self.digest, "page": self.pages, "error": message})
        return self


COLUMNS: Final = (
    *("source", "digest", "page", "index", "kind", "outcome", "raw", "text", "value", "confidence"),
    *("left", "top", "right", "bottom", "alternatives", "model", "model_digest", "template", "record", "error"),
)


class BatchWorker:
    """Reads inputs one after another; the model is loaded on first use.

    Raises:
        HandigitError: invalid options, such as a missing model.
    """

    def __init__(self, options: ReadOptions) -> None:
        cv2.setNumThreads(1)  # as the models: a worker per core; OpenCV's own threads would compete with the others
        self.options = options
        self.reader = options.reader()
        self._forms = _form_reader(options, self.reader) if options.templates else None

    def template_versions(self) -> list[str]:
        """Name and version of each form template."""
        return [f"{template.name} {template.version}" for template in self._forms.templates] if self._forms else []

    def load(self) -> None:
        """Load the models now."""
        _ = self.reader.engines

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
        # the rows of a resumed batch, whose chunks differ, would differ too (3 of 120 crops did).
        is_digit = self.options.kind == "digit" and not self.options.templates
        return is_digit and PurePosixPath(item.entry or item.source).suffix.lower() not in _PAGED

    def _read_together(self, inputs: Sequence[tuple[InputResult, bytes]]) -> None:
        """Read pictures of one digit each in one run of the model."""
        if not inputs:
            return
        try:
            readings = read_batch(self.reader, [content for _, content in inputs], "digit")
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
            if self._forms is not None:
                self._read_forms(self._forms, result, content)
                return
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
                result.doubts.append(Doubt(number, index, reading))
        result.pages += 1

    def _read_forms(self, forms: "FormReader", result: InputResult, content: bytes) -> None:
        """Read a document as forms; the pages of one form must be in one document."""
        from handigit.forms.pile import document

        pile = [document(result.input.name, content, limits=self.options.limits)]
        for index, form in enumerate(forms.forms(pile), start=1):
            row = _record_row(result, form.record, index)
            if row["error"]:
                result.error = "Unplaced"
            result.rows.append(row)
            result.pages += len(form.record.pages)
            if self.options.keep_doubts:
                result.forms.append(KeptForm.of(form))


def _form_reader(options: ReadOptions, reader: Reader) -> "FormReader":
    from handigit.forms import FormReader

    return FormReader(options.templates, reader=reader)


def to_row(result: InputResult, number: Number, index: int, reading: PageReading) -> Row:
    """A number as a row; `value` is text, so that decimals are exact and dates are ISO 8601."""
    sides = number.box.as_list() if number.box else [None] * 4
    value = value_to_json(number.value)
    return {
        "source": result.input.name,
        "digest": result.digest,
        "page": number.page,
        "index": index,
        "kind": reading.kind,
        "outcome": number.outcome.value,
        "raw": number.raw,
        "text": number.text,
        "value": None if value is None else str(number.value),
        "confidence": round(number.confidence, 6),
        **dict(zip(("left", "top", "right", "bottom"), sides, strict=True)),
        "alternatives": [{"text": text, "confidence": round(p, 6)} for text, p in number.alternatives],
        "model": reading.model,
        "model_digest": reading.digest,
        "template": None,
        "record": None,
        "error": None,
    }


def _record_row(result: InputResult, record: "Record", index: int) -> Row:
    """A record of a form as a row, the whole of it as JSON; a page that matches no template has its reason as error."""
    fields = record.to_json()
    reasons = "; ".join(page.reason for page in record.pages if page.reason)
    return dict.fromkeys(COLUMNS) | {
        "source": result.input.name,
        "digest": result.digest,
        "page": min((page.page for page in record.pages), default=0),
        "index": index,
        "kind": "form",
        "outcome": record.outcome.value,
        "template": record.template,
        "record": json.dumps(fields, ensure_ascii=False),
        "error": (reasons or "matches no template") if record.outcome.value == "unplaced" else None,
    }
