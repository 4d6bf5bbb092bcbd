"""Read every page of a picture or document as a digit, a number or a page of numbers."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import UInt8

from handigit.errors import HandigitError, ImageError
from handigit.images import Source, open_pages
from handigit.images.cancellation import check_cancelled
from handigit.read.pages import PageRegions
from handigit.read.reader import Reader
from handigit.records import ANYTHING, Digit, Expected, Kind, Number, Outcome, ReadAs

Page = UInt8[np.ndarray, "height width"]
_LIKELY: Final = 0.5
"""Confidence from which a picture is one number, even if parts look like several: upright strokes pass for rules."""


@dataclass(frozen=True, slots=True, eq=False)
class PageReading:
    """The result for one page: one number for a digit or a number, any count for a page.

    `page` is the decoded picture. `model` and `digest` identify the model. `digit` is the result where the page was
    read as one digit. `kind`: how it was read. `note`: advice for the user, such as to read it as a page.
    """

    numbers: tuple[Number, ...]
    page: Page
    model: str
    digest: str
    digit: Digit | None = None
    kind: Kind = "number"
    note: str = ""


def read_document(
    reader: Reader,
    source: Source,
    kind: ReadAs,
    *,
    expected: Expected = ANYTHING,
) -> Generator[PageReading, None, None]:
    """Read a picture or document page by page; `expected` applies to numbers, kind `auto` decides for each page.

    Another thread can end it by the `Cancellation` that is active here.

    Raises:
        ImageError: a picture that cannot be used; earlier pages have been yielded.
        ModelError: a model that cannot be used.
        PatternError: an invalid pattern or alphabet.
        ReadingCancelled: the active `Cancellation` was cancelled.
    """
    index = -1
    for page in open_pages(source, limits=reader.limits):  # `enumerate` would hold the page before
        check_cancelled()
        index += 1
        digit = None
        found: Kind = "page" if kind == "auto" else kind
        if kind == "auto":
            found, numbers = reader.read_on(page, pattern=expected.pattern, alphabet=expected.alphabet)
            digit = numbers[0].digits[0] if found == "digit" and numbers[0].digits else None
        elif kind == "digit":
            digit = reader.digit_on(page)
            numbers = [digit.as_number()]
        elif kind == "number":
            numbers = reader.numbers_on([page], pattern=expected.pattern, alphabet=expected.alphabet)
        else:
            numbers = reader.page_on(page)
        note = _note_on(page, kind, numbers)
        numbers = [replace(number, page=index) for number in numbers]
        result = [_page_reading(reader, numbers, page, found, digit, note)]
        del page  # or it would be held while the next one is decoded
        yield result.pop()


def _note_on(page: Page, kind: ReadAs, numbers: Sequence[Number]) -> str:
    """Advice to read a page as one, if it was taken for a single digit or number and none was read."""
    if kind not in ("digit", "number") or numbers[0].outcome is Outcome.READ:
        return ""
    is_likely = kind == "number" and numbers[0].outcome is Outcome.DOUBT and numbers[0].confidence >= _LIKELY
    return "" if is_likely or not PageRegions.of(page).are_several else "several numbers here: read it as a page"


def read_batch(reader: Reader, sources: Sequence[Source], kind: Kind) -> list[PageReading | Exception]:
    """Read the digit or number on the first page of each picture in one run of the model; a bad picture's error."""
    pages = [_first_page(reader, source) for source in sources]
    good = [page for page in pages if isinstance(page, np.ndarray)]
    if kind == "digit":
        numbers = iter([digit.as_number() for digit in reader.digits_on(good)])
    else:
        numbers = iter(reader.numbers_on(good))
    return [
        page if isinstance(page, Exception) else _page_reading(reader, [next(numbers)], page, kind) for page in pages
    ]


def _first_page(reader: Reader, source: Source) -> Page | HandigitError:
    check_cancelled()
    try:
        return next(open_pages(source, limits=reader.limits))
    except ImageError as problem:
        return problem


def _page_reading(
    reader: Reader, numbers: Sequence[Number], page: Page, kind: Kind, digit: Digit | None = None, note: str = ""
) -> PageReading:
    model, digest = reader.model_name(kind), reader.engine_for(kind).digest
    return PageReading(tuple(numbers), page, model, digest, digit, kind, note)
