"""Uncertain numbers of a batch into the review queue of the web app's database."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from handigit.batch.worker import InputResult
from handigit.store import NewPage, Provenance, Store

_PAGES_PER_TRANSACTION: Final = 200


class ReviewQueue:
    """Adds each doubt of a batch once, also when the batch is killed and resumed.

    A doubt's request id is made of the batch's id, the content's digest, the page and the index, so a resumed batch
    knows which ones it has added.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, url: str, *, files: Path, batch_id: str) -> None:
        self._store = Store.open(url, files=files)
        self._prefix = f"batch-{batch_id}"
        self._added = self._store.request_ids(self._prefix)

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
