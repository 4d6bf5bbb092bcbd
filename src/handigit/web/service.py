"""The service behind HTTP: reads small pictures in batches and documents page by page, and stores the results.

Documents have threads of their own, so that one of a thousand pages does not hold up small pictures.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

import numpy as np

from handigit.errors import HandigitError, ImageError, ModelError
from handigit.read import PageReading, Reader, read_batch, read_document
from handigit.records import ANYTHING, Expected, Kind, ReadAs
from handigit.store import NewPage, Provenance, Store, StoreError
from handigit.web.batching import BatchPolicy, BatchQueue, queue_problems
from handigit.web.inference import Inference
from handigit.web.metrics import Metrics
from handigit.web.model_registry import Models
from handigit.web.page_stream import PageStreamer
from handigit.web.problems import unavailable
from handigit.web.uploads import MAX_MEMORY, Upload
from handigit.workers import Workers

log = logging.getLogger(__name__)
State = Literal["starting", "ready", "draining", "failed"]
_MAX_BATCH: Final = 64
_DOCUMENT_THREADS: Final = 2
"""Documents read at a time: each may occupy a core for minutes."""
_MAX_DOCUMENTS: Final = 16
_NO_PIXELS: Final = np.empty((0, 0), np.uint8)
_STORE_RETRY_S: Final = 10.0
"""How long one failure to store counts against readiness."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """How to read the files of one request, whether to store the results, and the time limit.

    `key`: the caller and their idempotency key, empty for a request that is stored each time. `with_pages`: whether the
    results have the pixels of their pages; those of a long document do not fit into memory.
    """

    kind: ReadAs
    request_id: str
    keep: bool
    within_s: float
    expected: Expected = ANYTHING
    target_error: float | None = None
    key: str = ""
    with_pages: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether its small pictures may share batches with those of other requests."""
        return self.expected == ANYTHING and self.target_error is None


@dataclass(frozen=True, slots=True, eq=False)
class PageResult:
    """The result for one page of one file: its numbers with their ids in the store, or an error."""

    source: str
    read: PageReading | None = None
    ids: tuple[int, ...] = ()
    error: Exception | None = None

    def as_dicts(self) -> list[dict[str, Any]]:
        """The numbers as the command line prints them, with `id`, null where they are not stored."""
        if self.read is None:
            return []
        ids = self.ids or (None,) * len(self.read.numbers)
        return [
            {"id": id_} | number.as_dict(source=self.source, model=self.read.model)
            for id_, number in zip(ids, self.read.numbers, strict=True)
        ]


class Service:
    """Reads and stores the files of the HTTP routes; used from one event loop."""

    def __init__(self, models: Models, store: Store | None, *, capacity: int, workers: int, metrics: Metrics) -> None:
        """`capacity`: pictures of a kind that may wait; `workers`: processes that read them, 0 for this one."""
        self.models = models
        self.store = store
        self.state: State = "starting"
        self.workers = Workers(workers) if workers else None
        self._metrics = metrics
        policy = BatchPolicy(_MAX_BATCH, capacity)
        reading = BatchPolicy(_MAX_BATCH, capacity, threads=max(1, workers))
        self.queues: dict[ReadAs, BatchQueue[bytes, PageReading]] = {
            kind: BatchQueue(kind, partial(self._read_batch, kind), reading, on_batch=metrics.batch_observer(kind))
            for kind in ("digit", "number")
        }
        self._store_queue: BatchQueue[tuple[Upload, PageReading, ReadRequest], tuple[int, ...]]
        self._store_queue = BatchQueue("store", self._store_batch, policy)
        self.inference = Inference(models, policy)
        self._documents = PageStreamer(threads=_DOCUMENT_THREADS, capacity=_MAX_DOCUMENTS)
        self._loading: asyncio.Task[None] | None = None
        self._store_failed_at: float | None = None

    def start(self) -> None:
        """Load the model while the server already answers."""
        self._loading = asyncio.create_task(self._load())

    async def stop(self) -> None:
        """Finish all accepted requests and release everything."""
        self.state = "draining"
        if self._loading:
            await self._loading
        queues: list[BatchQueue[Any, Any]] = [*self.queues.values(), *self.inference.queues.values(), self._store_queue]
        for queue in queues:
            await queue.close()
        await self._documents.close()
        if self.workers:
            await asyncio.to_thread(self.workers.close)
        if self.store:
            await asyncio.to_thread(self.store.close)

    @property
    def waiting(self) -> int:
        """Pictures and documents accepted and not yet answered."""
        queues: list[BatchQueue[Any, Any]] = [*self.queues.values(), *self.inference.queues.values()]
        return sum(queue.open_items for queue in queues) + self._documents.open_documents

    @property
    def documents(self) -> PageStreamer:
        """Where documents are read page by page."""
        return self._documents

    @property
    def store_is_failing(self) -> bool:
        """Whether the last attempt to store readings failed, a few seconds ago at most: then it is time to retry."""
        failed_at = self._store_failed_at
        return failed_at is not None and time.monotonic() - failed_at < _STORE_RETRY_S

    def check_capacity(self, kind: ReadAs) -> None:
        """Refuse a request before its body is read.

        Raises:
            Problem: no model yet, or no capacity.
        """
        if self.state in ("starting", "failed"):
            raise unavailable("no model is loaded yet; wait until /readyz answers 200", retry_after_s=1)
        with queue_problems(0):
            (self.queues.get(kind) or self._documents).check_capacity()

    async def read(self, uploads: Sequence[Upload], request: ReadRequest) -> AsyncGenerator[PageResult, None]:
        """The results of all files, in order, each as soon as it and those before it are there.

        Raises:
            Problem: no capacity, or no answer in time.
        """
        batched = request.kind in self.queues and request.is_plain
        small = sum(upload.is_small for upload in uploads) if batched else 0
        with (
            queue_problems(request.within_s),
            self.queues[request.kind].reserve(small) if small else nullcontext(),
        ):
            for group in _groups(uploads, batched=batched):
                async with aclosing(self._read_group(group, request, batched=batched)) as results:
                    async for result in results:
                        if result.read:
                            self._metrics.count_outcomes(request.kind, result.read.numbers)
                        yield result

    async def _read_group(
        self, group: Sequence[Upload], request: ReadRequest, *, batched: bool
    ) -> AsyncGenerator[PageResult, None]:
        if batched and group[0].is_small:
            for result in await self._read_small(group, request):
                yield result
            return
        async with aclosing(self._read_document(group[0], request)) as results:
            async for result in results:
                yield result

    async def _read_small(self, uploads: Sequence[Upload], request: ReadRequest) -> list[PageResult]:
        """Small pictures, in batches with those of other requests."""
        contents = [upload.read() for upload in uploads]
        results = await self.queues[request.kind].run_reserved(contents, within_s=request.within_s)
        pairs = list(zip(uploads, results, strict=True))
        ids = iter(
            await self._store_results([(u, read, request) for u, read in pairs if isinstance(read, PageReading)])
        )
        return [
            _result(upload, result, next(ids), request)
            if isinstance(result, PageReading)
            else PageResult(upload.name, error=result)
            for upload, result in pairs
        ]

    async def _read_document(self, upload: Upload, request: ReadRequest) -> AsyncGenerator[PageResult, None]:
        """A document, page by page."""
        reader = self.models.active.reader
        if request.target_error is not None:
            reader = with_target_error(reader, request.target_error)
        open_document = partial(read_document, reader, upload.source(), request.kind, expected=request.expected)
        stream = self._documents.pages(open_document, within_s=request.within_s)
        try:
            async with aclosing(stream) as pages:
                async for read in pages:
                    (ids,) = await self._store_results([(upload, read, request)])
                    result = _result(upload, read, ids, request)
                    del read  # or it would be held while the next page is decoded
                    yield result
        except (ImageError, ModelError) as problem:
            yield PageResult(upload.name, error=problem)

    async def _store_results(self, results: Sequence[tuple[Upload, PageReading, ReadRequest]]) -> list[tuple[int, ...]]:
        """The ids of each result's numbers in the store; empty without a store or by request."""
        if self.store is None or not results or not results[0][2].keep:
            return [()] * len(results)
        within_s = results[0][2].within_s
        ids = await self._store_queue.submit(results, within_s=within_s)
        for stored in ids:
            if isinstance(stored, Exception):
                raise stored
        return [stored for stored in ids if isinstance(stored, tuple)]

    def _read_batch(self, kind: Kind, contents: Sequence[bytes]) -> list[PageReading | Exception]:
        model = self.models.active
        return self.workers.read(model, kind, contents) if self.workers else read_batch(model.reader, contents, kind)

    def _store_batch(
        self, items: Sequence[tuple[Upload, PageReading, ReadRequest]]
    ) -> list[tuple[int, ...] | StoreError]:
        assert self.store is not None
        pages = [
            NewPage(read.numbers, _provenance(upload, read, request), read.page, _key_of(upload, request))
            for upload, read, request in items
        ]
        try:
            ids = self.store.ingest.add_many(pages)
        except StoreError:
            self._store_failed_at = time.monotonic()
            raise
        self._store_failed_at = None
        return ids

    async def _load(self) -> None:
        try:
            model = await asyncio.to_thread(self.models.load_initial)
        except HandigitError as problem:
            self.state = "failed"
            log.error("no model", extra={"problem": type(problem).__name__})
            return
        if self.workers:
            await asyncio.to_thread(self.workers.prepare, model)
        log.info("ready", extra={"model": model.name, "sha256": model.digests})
        if self.state == "starting":
            self.state = "ready"


def with_target_error(reader: Reader, target_error: float) -> Reader:
    """A reader with another error rate and the same loaded models, which `copy` would load again."""
    other = object.__new__(type(reader))
    vars(other).update(vars(reader), target_error=target_error)
    return other


def _key_of(upload: Upload, request: ReadRequest) -> str | None:
    """What identifies a file of a request that may be repeated."""
    return f"{request.key}:{upload.place}" if request.key else None


def _provenance(upload: Upload, read: PageReading, request: ReadRequest) -> Provenance:
    kind: Literal["digit", "number"] = "digit" if read.kind == "digit" else "number"
    return Provenance(upload.name, read.model, read.digest, request.request_id, kind)


def _result(upload: Upload, read: PageReading, ids: tuple[int, ...], request: ReadRequest) -> PageResult:
    """The result of a page, without its pixels unless they are wanted."""
    return PageResult(upload.name, read if request.with_pages else replace(read, page=_NO_PIXELS), ids)


def _groups(uploads: Sequence[Upload], *, batched: bool) -> Iterator[list[Upload]]:
    """Consecutive small pictures of up to `MAX_MEMORY` together, each other file alone."""
    group: list[Upload] = []
    for upload in uploads:
        fits = batched and upload.is_small and sum(other.size for other in group) + upload.size <= MAX_MEMORY
        if group and not (fits and group[0].is_small):
            yield group
            group = []
        group.append(upload)
    if group:
        yield group
