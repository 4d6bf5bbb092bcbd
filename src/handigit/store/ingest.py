"""New readings: a page's picture to a file, its numbers to rows, and those that need review to the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import Connection, insert, select

from handigit.records import Number
from handigit.store.database import Database
from handigit.store.errors import KeyReused, StoreError
from handigit.store.pictures import Picture, Pictures, encode
from handigit.store.review_need import enqueue
from handigit.store.tables import NUMBER_COLUMNS, inputs, readings
from handigit.store.truth import canonical_of
from handigit.store.types import Policy, Provenance


@dataclass(frozen=True, slots=True, eq=False)
class NewPage:
    """The numbers of one page, to be stored together or not at all.

    `page` is the decoded picture, grey (height, width) or colour (height, width, 3), or None to store none. `key`
    identifies the file: a page whose file was stored with it before is not stored again.
    """

    numbers: Sequence[Number]
    provenance: Provenance
    page: UInt8[np.ndarray, "..."] | None = None
    key: str | None = None

    @property
    def identity(self) -> tuple[str, int] | None:
        """Its key and its place in the document; None if it may be stored any number of times."""
        return (self.key, self.numbers[0].page) if self.key and self.numbers else None


class Ingest:
    """Adds the numbers of pages to a store."""

    def __init__(self, database: Database, pictures: Pictures, policy: Policy) -> None:
        self._database = database
        self._pictures = pictures
        self.policy = policy

    def add_many(self, pages: Sequence[NewPage]) -> list[tuple[int, ...] | StoreError]:
        """Store several pages in one transaction; per page the ids of its readings, or its error.

        An error is that of its picture, or `KeyReused` if its key belongs to another picture.

        Raises:
            StoreError: the database refuses; then no page is stored.
        """
        pictures = [self._write_picture(page) for page in pages]
        good = [(page, p) for page, p in zip(pages, pictures, strict=True) if not isinstance(p, StoreError)]
        added = iter(self._insert(good) if good else ())
        return [picture if isinstance(picture, StoreError) else next(added) for picture in pictures]

    def _write_picture(self, page: NewPage) -> Picture | StoreError | None:
        """Write a page's picture; None if it has none, or no numbers."""
        if page.page is None or not page.numbers:
            return None
        try:
            picture = encode(page.page)
            self._pictures.put(picture.sha256, picture.content)
        except StoreError as problem:
            return problem
        return picture

    def _insert(self, pages: Sequence[tuple[NewPage, Picture | None]]) -> list[tuple[int, ...] | StoreError]:
        now = datetime.now(UTC)
        with self._database.writing(durable=False) as connection:
            stored = find_stored(connection, [page for page, _ in pages])
            new = _without_repeats(pages, stored)
            pictures = [picture for _, picture in new if picture]
            for picture in pictures:  # again: before we held the write lock, a deletion may have removed the file
                self._pictures.put(picture.sha256, picture.content, verify=False)
            insert_pictures(connection, pictures, now)
            ids = insert_readings(connection, new, now)
            numbers = [number for page, _ in new for number in page.numbers]
            enqueue(connection, dict(zip(chain.from_iterable(ids), numbers, strict=True)), policy=self.policy)
        added = {id(page): found for (page, _), found in zip(new, ids, strict=True)}
        for page, sheet in new:
            if page.identity:
                stored[page.identity] = StoredPage(added[id(page)], sheet.sha256 if sheet else None)
        return [added[id(page)] if id(page) in added else _ids_of_repeat(page, sheet, stored) for page, sheet in pages]


@dataclass(frozen=True, slots=True)
class StoredPage:
    """The ids of a page's readings, and the SHA-256 of its picture."""

    ids: tuple[int, ...]
    picture: str | None


Stored = dict[tuple[str, int], StoredPage]


def find_stored(connection: Connection, pages: Sequence[NewPage]) -> Stored:
    """The pages that were stored with the keys of these."""
    keys = {page.key for page in pages if page.identity}
    stored: Stored = {}
    if not keys:
        return stored
    columns = (readings.c.key, readings.c.page, readings.c.id, readings.c.input)
    for key, page, number, picture in connection.execute(
        select(*columns).where(readings.c.key.in_(keys)).order_by(readings.c.place)
    ):
        earlier = stored.get((key, page), StoredPage((), picture))
        stored[key, page] = StoredPage((*earlier.ids, number), picture)
    return stored


def _without_repeats(
    pages: Sequence[tuple[NewPage, Picture | None]], stored: Stored
) -> list[tuple[NewPage, Picture | None]]:
    """The pages to store: neither stored before, nor twice among these."""
    seen = set(stored)
    new = []
    for page, picture in pages:
        if page.identity not in seen:
            new.append((page, picture))
        if page.identity:
            seen.add(page.identity)
    return new


def _ids_of_repeat(page: NewPage, picture: Picture | None, stored: Stored) -> tuple[int, ...] | StoreError:
    assert page.identity
    earlier = stored[page.identity]
    if earlier.picture == (picture.sha256 if picture else None) and len(earlier.ids) == len(page.numbers):
        return earlier.ids
    ids = ", ".join(map(str, earlier.ids[:5]))
    return KeyReused(f"this idempotency key was used for another picture or model (readings {ids}); use a new key")


def insert_pictures(connection: Connection, pictures: Sequence[Picture], at: datetime) -> None:
    """Add a row for each picture that has none."""
    new = {picture.sha256: picture for picture in pictures}
    for known in connection.scalars(select(inputs.c.sha256).where(inputs.c.sha256.in_(new))):
        del new[known]
    rows = [
        {
            "sha256": sha256,
            "at": at,
            "width": picture.width,
            "height": picture.height,
            "size_bytes": len(picture.content),
        }
        for sha256, picture in new.items()
    ]
    if rows:
        connection.execute(insert(inputs), rows)


def insert_readings(
    connection: Connection, pages: Sequence[tuple[NewPage, Picture | None]], at: datetime
) -> list[tuple[int, ...]]:
    """Add a row for each number; per page the new ids in order."""
    rows = [
        _page_columns(page.provenance, picture) | {"at": at, "place": place, "key": page.key} | _number_columns(number)
        for page, picture in pages
        for place, number in enumerate(page.numbers, start=1)
    ]
    statement = insert(readings).returning(readings.c.id, sort_by_parameter_order=True)
    ids = iter(connection.scalars(statement, rows).all() if rows else ())
    return [tuple(islice(ids, len(page.numbers))) for page, _ in pages]


def _page_columns(provenance: Provenance, picture: Picture | None) -> dict[str, Any]:
    """The columns that all numbers of a page share."""
    return {
        "input": picture.sha256 if picture else None,
        "kind": provenance.kind,
        "source": provenance.source,
        "model": provenance.model,
        "model_digest": provenance.model_digest,
        "request_id": provenance.request_id,
    }


def _number_columns(number: Number) -> dict[str, Any]:
    fields = number.to_json(full=True)
    return {name: fields[name] for name in NUMBER_COLUMNS} | {"canonical": canonical_of(number)}
