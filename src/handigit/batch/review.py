"""Uncertain numbers and forms of a batch into the web app's database, for review."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from handigit.batch.worker import InputResult
from handigit.store import NewPage, Provenance, Store

_PAGES_PER_TRANSACTION: Final = 200


class ReviewQueue:
    """Adds each doubt and form of a batch once, also when the batch is killed and resumed.

    A doubt's request id is made of the batch's id, the content's digest, the page and the index, so a resumed batch
    knows which ones it has added. The store knows a form by its key.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, url: str, *, files: Path, batch_id: str) -> None:
        self._store = Store.open(url, files=files)
        self._prefix = f"batch-{batch_id}"
        self._added = self._store.request_ids(self._prefix)
        newest = self._store.forms.list(limit=1)
        self._last_form = newest[0].id if newest else 0

    def __enter__(self) -> "ReviewQueue":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()

    def add(self, results: Sequence[InputResult]) -> int:
        """Queue the doubts of these results; returns the number of new ones.

        Raises:
            StoreError: the store cannot be written.
        """
        pages = [page for result in results for page in self._pages(result)]
        for start in range(0, len(pages), _PAGES_PER_TRANSACTION):
            for outcome in self._store.add_many(pages[start : start + _PAGES_PER_TRANSACTION]):
                if isinstance(outcome, Exception):
                    raise outcome
        self._added |= {page.provenance.request_id for page in pages}
        return len(pages)

    def add_forms(self, result: InputResult) -> int:
        """Store the forms of a result, then drop them from it to free memory; returns the number of new ones.

        Raises:
            StoreError: the store cannot be written.
        """
        new = 0
        for form in result.forms:
            pages = dict(enumerate(form.pages, start=1))
            record = self._store.forms.add(form.content, key=form.key, pages=pages, batch=self._prefix)
            new += record > self._last_form
            self._last_form = max(self._last_form, record)
        result.forms.clear()
        return new

    def _pages(self, result: InputResult) -> list[NewPage]:
        pages = []
        for doubt in result.doubts:
            request_id = f"{self._prefix}/{result.digest}/{doubt.number.page}/{doubt.index}/{result.input.name}"[:200]
            if request_id in self._added:
                continue
            reading = doubt.reading
            provenance = Provenance(
                result.input.name,
                reading.model,
                reading.digest,
                request_id,
                "digit" if reading.kind == "digit" else "number",
            )
            pages.append(NewPage((doubt.number,), provenance, reading.page))
        return pages
