"""What the server does, apart from HTTP: it reads small pictures together and documents page by page, and keeps both.

One lane a kind for small pictures, one for keeping, a few threads for documents, so that a document of a thousand pages
holds nobody up. It knows its own state: starting, ready, draining.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32, Float64

from handigit.errors import HandigitError, ImageError, ModelError
from handigit.pipeline import Kind, Read, entry_of, keep, read_document, read_together
from handigit.store import Store, StoreError
from handigit.web.batching import Lane, LaneFull, TooLate, Width
from handigit.web.model_registry import Models
from handigit.web.page_stream import Desk
from handigit.web.problems import TOO_LATE, UNAVAILABLE, Problem, busy
from handigit.web.uploads import Upload
from handigit.workers import Workers

log = logging.getLogger(__name__)
State = Literal["starting", "ready", "draining", "failed"]
Pictures = Float32[np.ndarray, "n height width"]
Shares = Float64[np.ndarray, "n *classes"]
_BATCH: Final = 64
_DOCUMENTS: Final = 2
"""Documents that are read at a time: each may take a whole core for minutes."""
_DOCUMENT_ROOM: Final = 16


@dataclass(frozen=True, slots=True)
class Promise:
    """What a request asks for: how to read, whether to keep it, and how long there is."""

    kind: Kind
    request_id: str
    keep: bool
    within_s: float
    pattern: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What one page of one file came to: answers with their numbers in the store, or an error."""

    source: str
    read: Read | None = None
    ids: tuple[int, ...] = ()
    error: Exception | None = None

    def as_dicts(self) -> list[dict[str, Any]]:
        """The JSON objects of the answers: those of the command line, with `id`, null where nothing is kept."""
        if self.read is None:
            return []
        ids = self.ids or (None,) * len(self.read.numbers)
        return [
            {"id": id_} | number.as_dict(source=self.source, model=self.read.model)
            for id_, number in zip(ids, self.read.numbers, strict=True)
        ]


class Service:
    """Reads and keeps. `start` and `stop` bracket its life, both in the event loop that uses it."""

    def __init__(self, models: Models, store: Store | None, *, room: int, workers: int = 0) -> None:
        """`room`: pictures of a kind that may wait; `workers`: processes that read them, 0 for this one."""
        self.models = models
        self.store = store
        self.state: State = "starting"
        self.on_answered: Callable[[Kind, Answered], None] = lambda kind, answered: None  # noqa: ARG005
        self.workers = Workers(workers) if workers else None
        width = Width(batch=_BATCH, room=room)
        reading = replace(width, threads=max(1, workers))
        self.lanes: dict[Kind, Lane[bytes, Read]] = {
            "digit": Lane("digit", partial(self._read_together, "digit"), reading),
            "number": Lane("number", partial(self._read_together, "number"), reading),
        }
        self.keeping: Lane[tuple[Upload, Read, Promise], tuple[int, ...]] = Lane("keep", self._keep_all, width)
        self.inference: dict[str, Lane[Pictures, Shares]] = {
            "digit": Lane("infer-digit", self._infer_digits, width),
            "number": Lane("infer-number", self._infer_numbers, width),
        }
        self.desk = Desk(at_once=_DOCUMENTS, room=_DOCUMENT_ROOM)
        self._warming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load the model and read the golden picture, while the server answers already."""
        self._warming = asyncio.create_task(self._warm_up())

    async def stop(self) -> None:
        """Finish what was accepted and give everything back."""
        self.state = "draining"
        if self._warming:
            await self._warming
        for lane in (*self._reading_lanes, self.keeping):
            await lane.close()
        await self.desk.close()
        if self.workers:
            await asyncio.to_thread(self.workers.close)
        if self.store:
            await asyncio.to_thread(self.store.close)

    @property
    def waiting(self) -> int:
        """Pictures accepted and not yet answered."""
        return sum(lane.open_items for lane in self._reading_lanes) + self.desk.open_documents

    @property
    def _reading_lanes(self) -> tuple[Lane[Any, Any], ...]:
        return (*self.lanes.values(), *self.inference.values())

    def check_room(self, kind: Kind) -> None:
        """Refuse, before the body is read, what would be refused after.

        Raises:
            Problem: no model yet, or no room.
        """
        if self.state in ("starting", "failed"):
            raise Problem(UNAVAILABLE, "no model is loaded yet; wait until /readyz says 200", headers=_SOON)
        with _as_problems(0):
            (self.lanes.get(kind) or self.desk).check_room()

    def patience_s(self, kind: Kind) -> float:
        """Seconds until there should be room for one more small picture; 0 where there is, or it is not known."""
        lane = self.lanes.get(kind)
        return lane.patience_s() if lane else 0.0

    def expect(self, kind: Kind) -> None:
        """A request to read has come whole and will be here as soon as the event loop comes round to it."""
        if lane := self.lanes.get(kind):
            lane.expect()

    async def read(self, uploads: Sequence[Upload], promise: Promise) -> AsyncGenerator[Answered, None]:
        """The answers to all files, in their order, each as soon as it and those before it are there.

        Raises:
            Problem: no room, or no answer in time.
        """
        small = [one for one in uploads if promise.kind in self.lanes and not promise.pattern and one.is_small]
        together = iter(await self._read_small(small, promise))
        waiting = set(map(id, small))
        for upload in uploads:
            if id(upload) in waiting:
                answered = next(together)
                self.on_answered(promise.kind, answered)
                yield answered
                continue
            async with aclosing(self._read_document(upload, promise)) as pages:
                async for answered in pages:
                    self.on_answered(promise.kind, answered)
                    yield answered

    async def infer(self, model: str, pictures: Pictures, *, within_s: float) -> Shares:
        """How probable each digit is for each glyph, or each character for each frame of each line.

        Raises:
            Problem: no room, or no answer in time.
        """
        with _as_problems(within_s):
            (shares,) = await self.inference[model].ask_all([pictures], within_s=within_s)
        if isinstance(shares, Exception):
            raise shares
        return shares

    async def _read_small(self, uploads: Sequence[Upload], promise: Promise) -> list[Answered]:
        """Small pictures, all of them together with whatever else waits."""
        if not uploads:
            return []
        with _as_problems(promise.within_s):
            contents = [one.content for one in uploads if isinstance(one.content, bytes)]  # as small ones are
            read = await self.lanes[promise.kind].ask_all(contents, within_s=promise.within_s)
        good = [(u, r, promise) for u, r in zip(uploads, read, strict=True) if isinstance(r, Read)]
        ids = iter(await self._kept(good))
        return [
            Answered(u.name, r, next(ids)) if isinstance(r, Read) else Answered(u.name, error=r)
            for u, r in zip(uploads, read, strict=True)
        ]

    async def _read_document(self, upload: Upload, promise: Promise) -> AsyncGenerator[Answered, None]:
        """A document, page by page."""
        reader = self.models.active.reader
        begin = partial(read_document, reader, upload.content, promise.kind, pattern=promise.pattern)
        with _as_problems(promise.within_s):
            try:
                async with aclosing(self.desk.pages(begin, within_s=promise.within_s)) as pages:
                    async for read in pages:
                        yield Answered(upload.name, read, (await self._kept([(upload, read, promise)]))[0])
            except (ImageError, ModelError) as problem:
                yield Answered(upload.name, error=problem)

    async def _kept(self, read: Sequence[tuple[Upload, Read, Promise]]) -> list[tuple[int, ...]]:
        """The numbers in the store of what was read; empty ones where nothing is to be kept."""
        if self.store is None or not read or not read[0][2].keep:
            return [()] * len(read)
        with _as_problems(read[0][2].within_s):
            ids = await self.keeping.ask_all(read, within_s=read[0][2].within_s)
        for one in ids:
            if isinstance(one, Exception):
                raise one
        return [one for one in ids if isinstance(one, tuple)]

    def _read_together(self, kind: Kind, contents: Sequence[bytes]) -> list[Read | Exception]:
        model = self.models.active
        return self.workers.read(model, kind, contents) if self.workers else read_together(model.reader, contents, kind)

    def _infer_digits(self, several: Sequence[Pictures]) -> list[Shares]:
        shares = self.models.active.reader.engine.probabilities(np.concatenate(several))
        return np.split(shares, np.cumsum([len(glyphs) for glyphs in several])[:-1])

    def _infer_numbers(self, several: Sequence[Pictures]) -> list[Shares]:
        shares = iter(self.models.active.reader.line_engine.shares([line for lines in several for line in lines]))
        return [np.stack(list(islice(shares, len(lines)))) for lines in several]

    def _keep_all(self, items: Sequence[tuple[Upload, Read, Promise]]) -> list[tuple[int, ...] | StoreError]:
        assert self.store is not None
        entries = [
            entry_of(read, source=upload.name, request_id=promise.request_id, kind=promise.kind)
            for upload, read, promise in items
        ]
        return keep(self.store, entries)

    async def _warm_up(self) -> None:
        try:
            model = await asyncio.to_thread(self.models.begin)
        except HandigitError as problem:
            self.state = "failed"
            log.error("no model", extra={"problem": type(problem).__name__})
            return
        if self.workers:
            await asyncio.to_thread(self.workers.prepare, model)
        log.info("ready", extra={"model": model.name, "sha256": model.digests})
        if self.state == "starting":
            self.state = "ready"


_SOON: Final = {"Retry-After": "1"}


class _as_problems:  # noqa: N801 - a context manager, cheaper than a generator's on the busiest path
    """Turns a lane's refusals into problems."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LaneFull):
            raise busy(error.retry_after_s) from None
        if isinstance(error, TooLate):
            raise Problem(
                TOO_LATE,
                f"no answer within {self._within_s:g} s; send fewer at once, or allow more time with ?within=",
                headers={"Retry-After": "5"},
            ) from None


log = logging.getLogger(__name__)
_EVERY_S: Final = 3600.0


async def forget_regularly(store: Store, *, days: float, every_s: float = _EVERY_S) -> None:
    """Delete readings older than so many days, at once and then every hour, until cancelled."""
    while True:
        before = datetime.now(UTC) - timedelta(days=days)
        try:
            deleted = await asyncio.to_thread(store.forget, before=before)
            log.info("forgotten", extra={"readings": deleted.readings, "pictures": deleted.pictures})
        except HandigitError as problem:
            log.error("not forgotten", extra={"error": type(problem).__name__})
        await asyncio.sleep(every_s)
