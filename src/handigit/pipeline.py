"""From a file to stored records: read each page of it, then store its numbers with their picture."""

from collections.abc import Sequence
from typing import Literal

from handigit.read import PageReading
from handigit.records import Kind
from handigit.store import NewPage, Provenance, Store, StoreError


def to_new_page(reading: PageReading, *, source: str, request_id: str, kind: Kind) -> NewPage:
    """The numbers read from one page and its picture, in the form that the store takes."""
    stored_kind: Literal["digit", "number"] = "digit" if kind == "digit" else "number"
    provenance = Provenance(source, reading.model, reading.digest, request_id, stored_kind)
    return NewPage(reading.numbers, provenance, reading.page)


def store_pages(store: Store, pages: Sequence[NewPage]) -> list[tuple[int, ...] | StoreError]:
    """Store several pages; for each the ids of its readings, in order, or the error that prevented it.

    Raises:
        StoreError: the store cannot be written; nothing is stored.
    """
    return store.ingest.add_many(pages)
