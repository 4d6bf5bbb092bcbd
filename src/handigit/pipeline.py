"""The whole path on one screen: a file in, answers out, kept in the store.

It joins opening, reading and keeping, and knows nothing of HTTP, queues or how any of the three is done.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from handigit.errors import HandigitError, ImageError
from handigit.images import Source, open_pages
from handigit.read import Reader
from handigit.records import Number
from handigit.store import NewPage, Provenance, Store, StoreError

Kind = Literal["digit", "number", "page"]
"""What a picture holds: one digit, one number, or any number of numbers."""
Page = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What was read from one page: for a digit or a number one answer, for a page all that were found.

    `model` and `digest` name who read it; `page` is the picture as it was read.
    """

    numbers: tuple[Number, ...]
    page: Page
    model: str
    digest: str


def read_document(
    reader: Reader, source: Source, kind: Kind, *, pattern: str | None = None
) -> Generator[Read, None, None]:
    """Read each page of a picture or document, one at a time; `pattern` as in `Reader.number`.

    Raises:
        ImageError: a picture that cannot be used; what was read before stands.
        ModelError: a model that cannot be used.
        PatternError: a pattern that is none.
    """
    for number, page in enumerate(open_pages(source, limits=reader.limits)):
        found = [replace(one, page=number) for one in _numbers_on(reader, page, kind, pattern)]
        yield _read(reader, found, page, kind)


def read_together(reader: Reader, sources: Sequence[Source], kind: Kind) -> list[Read | Exception]:
    """Read the one number, or digit, of each picture, all by one run of the model; a bad picture gives its error."""
    pages = [_first_page(reader, source) for source in sources]
    good = [page for page in pages if isinstance(page, np.ndarray)]
    if kind == "digit":
        found = iter([digit.as_number() for digit in reader.digits_on(good)])
    else:
        found = iter(reader.numbers_on(good))
    return [page if isinstance(page, Exception) else _read(reader, [next(found)], page, kind) for page in pages]


def entry_of(read: Read, *, source: str, request_id: str, kind: Kind) -> NewPage:
    """What was read from one page, with its picture, as the store takes it."""
    stored_kind: Literal["digit", "number"] = "digit" if kind == "digit" else "number"
    return NewPage(read.numbers, Provenance(source, read.model, read.digest, request_id, stored_kind), read.page)


def keep(store: Store, entries: Sequence[NewPage]) -> list[tuple[int, ...] | StoreError]:
    """Store what was read from several pages; for each its readings' numbers, in order, or why it is not kept.

    Raises:
        StoreError: the store cannot be written; nothing of any page is kept.
    """
    return store.add_many(entries)


def _first_page(reader: Reader, source: Source) -> Page | HandigitError:
    try:
        return next(open_pages(source, limits=reader.limits))
    except ImageError as problem:
        return problem


def _numbers_on(reader: Reader, page: Page, kind: Kind, pattern: str | None) -> Sequence[Number]:
    if kind == "digit":
        return [reader.digit_on(page).as_number()]
    return reader.numbers_on([page], pattern=pattern) if kind == "number" else reader.page_on(page)


def _read(reader: Reader, numbers: Sequence[Number], page: Page, kind: Kind) -> Read:
    engine = reader.engine if kind == "digit" else reader.line_engine
    return Read(tuple(numbers), page, f"{engine.card.name}-{engine.digest[:8]}", engine.digest)
