"""The store: readings, their pictures, and people's decisions about them.

Each method is one transaction unless stated otherwise. Many threads may share one store; each process opens its own.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import select

from handigit.records import Number
from handigit.store import review
from handigit.store.accounts import Accounts, drop_expired
from handigit.store.database import Database
from handigit.store.deletion import Deletions
from handigit.store.errors import StoreError
from handigit.store.export import Format, export_lines
from handigit.store.forms import Forms
from handigit.store.ingest import Ingest, NewPage
from handigit.store.pictures import Pictures
from handigit.store.readings import (
    MAX_PAGE,
    get_corrections,
    get_reading,
    list_in_order,
    list_readings,
    require_reading,
)
from handigit.store.schema import upgrade
from handigit.store.statistics import Insights, Statistics, compute_statistics
from handigit.store.tables import corrections, readings
from handigit.store.truth import Truth
from handigit.store.types import Correction, Deleted, Filter, Lease, Order, Page, Policy, Provenance, Reading, Waiting

log = logging.getLogger(__name__)
EVERYTHING: Final = Filter()
DEFAULT_POLICY: Final = Policy()


class Store:
    """A database and the folder of its pictures.

    `ingest` adds readings. `accounts` holds users, sessions and tokens, `forms` the records of forms, `insights`
    statistics.

    Times are this machine's clock in UTC. Use it as a context manager, or `close` it.
    """

    def __init__(self, database: Database, pictures: Pictures, policy: Policy) -> None:
        self.database = database
        self.pictures = pictures
        self.accounts = Accounts(database)
        self.insights = Insights(database)
        self.forms = Forms(database, pictures)
        self.ingest = Ingest(database, pictures, policy)
        self._deletions = Deletions(database, pictures)

    @property
    def policy(self) -> Policy:
        """Which readings are reviewed, and how often."""
        return self.ingest.policy

    @classmethod
    def open(cls, url: str, *, files: Path, policy: Policy = DEFAULT_POLICY) -> "Store":
        """Open a database; it is created or upgraded if necessary.

        `url` is `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.

        Raises:
            StoreError: no such database, one of a newer Handigit, or a folder that cannot be written.
        """
        database = Database(url)
        try:
            upgrade(database)
            store = cls(database, Pictures(files), policy)
            is_empty = not store.readings(limit=1).readings and not store.forms.list(limit=1)
            if is_empty and next(store.pictures.all(), None):
                log.warning("database has no readings or forms, but there are pictures; see `handigit store check`")
        except BaseException:
            database.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection; acknowledged data are on disk already."""
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ping(self) -> None:
        """Check that the database answers, and that an SQLite file is still the one that was opened.

        Raises:
            StoreError: it does not answer.
            StoreDamaged: the file was deleted or replaced.
        """
        self.database.check_file()
        with self.database.reading() as connection:
            connection.execute(select(1))

    def add(
        self, numbers: Sequence[Number], provenance: Provenance, *, page: UInt8[np.ndarray, "..."] | None = None
    ) -> tuple[int, ...]:
        """Store the numbers of one page, all or none; returns the new readings' ids in order.

        `page` is the decoded picture, grey (height, width) or colour (height, width, 3). It is stored as a new PNG, so
        that no metadata of the original file survives. Doubts and samples are queued for review.

        Raises:
            StoreError: it cannot be stored.
        """
        (result,) = self.ingest.add_many([NewPage(numbers, provenance, page)])
        if isinstance(result, StoreError):
            raise result
        return result

    def add_many(self, pages: Sequence[NewPage]) -> list[tuple[int, ...] | StoreError]:
        """Store several pages in one transaction: as `add`, at a fraction of its cost.

        A page whose picture cannot be stored is left out with all its numbers; its result is the error.

        Raises:
            StoreError: the database refuses; then no page is stored.
        """
        return self.ingest.add_many(pages)

    def reading(self, reading: int) -> Reading:
        """One reading by id.

        Raises:
            NotInStore: no such reading.
        """
        with self.database.reading() as connection:
            return get_reading(connection, reading)

    def readings(
        self,
        filter: Filter = EVERYTHING,  # noqa: A002
        *,
        after: int | None = None,
        limit: int = 100,
        order: Order = "newest",
    ) -> Page:
        """Readings in pages of up to 1000 that do not shift when new ones arrive.

        Raises:
            NotInStore: the reading `after`, where the order needs it, has been deleted.
        """
        with self.database.reading() as connection:
            return list_readings(connection, filter, after=after, limit=limit, order=order)

    def all(self, filter: Filter = EVERYTHING) -> Iterator[Reading]:  # noqa: A002
        """All selected readings, newest first, with a thousand in memory at a time."""
        after = None
        while True:
            page = self.readings(filter, after=after, limit=MAX_PAGE)
            yield from page.readings
            after = page.after
            if after is None:
                return

    def in_order(self, filter: Filter = EVERYTHING) -> Iterator[Reading]:  # noqa: A002
        """All selected readings in the order in which they were read, with a thousand in memory at a time."""
        after = 0
        while True:
            with self.database.reading() as connection:
                batch = list_in_order(connection, filter, after=after)
            yield from batch
            if len(batch) < MAX_PAGE:
                return
            after = batch[-1].id

    def export(
        self,
        filter: Filter = EVERYTHING,  # noqa: A002
        *,
        format: Format,  # noqa: A002
        bom: bool = False,
    ) -> Iterator[str]:
        """The selected readings as lines with their line ends; no transaction stays open between them.

        `csv` has one row per number in reading order with its current value; `full` has every column, `jsonl` every
        field, both newest first. `bom`: begin CSV with a byte order mark, without which Excel garbles names.
        """
        return export_lines(self.in_order(filter) if format == "csv" else self.all(filter), format=format, bom=bom)

    def request_ids(self, prefix: str) -> set[str]:
        """The request ids of all readings that begin with a prefix, such as those of one batch."""
        with self.database.reading() as connection:
            query = select(readings.c.request_id).where(readings.c.request_id.startswith(prefix, autoescape=True))
            return set(connection.scalars(query))

    def history(self, reading: int) -> tuple[Correction, ...]:
        """All corrections of a reading, oldest first, including undone ones.

        Raises:
            NotInStore: no such reading.
        """
        with self.database.reading() as connection:
            require_reading(connection, reading)
            return get_corrections(connection, corrections.c.reading == reading)

    def picture(self, digest: str) -> bytes:
        """A stored page as PNG, by its SHA-256.

        Raises:
            NotInStore: no such picture, or its file is damaged.
        """
        return self.pictures.read_verified(digest)

    def decide(self, reading: int, truth: Truth, *, by: str, key: str, lease: int | None = None) -> Correction:
        """Record a person's decision on a reading; it is on disk when this returns.

        The same `key` by the same person is recorded once, so a retry returns the first result. With `lease`, the
        lease ends and the decision counts with its purpose. Two different decisions call for a third person.

        Raises:
            NotInStore: no such reading or lease.
            KeyReused: the key was used for another decision.
            LeaseLost: another reviewer has been given the item since, or the lease is for another item.
        """
        with self.database.writing() as connection:
            correction, is_new = review.record(connection, reading, truth, by=by, key=key, lease=lease, now=_now())
            if is_new:
                review.requeue(connection, reading, policy=self.policy)
        return correction

    def undo(self, correction: int, *, by: str) -> Correction:
        """Undo a correction by anyone; the decisions before it count again.

        The history keeps it with the name of the person who undid it. Undoing it again has no effect.

        Raises:
            NotInStore: no such correction.
        """
        with self.database.writing() as connection:
            undone = review.undo(connection, correction, by=by, now=_now())
            review.requeue(connection, undone.reading, policy=self.policy)
        return undone

    def lease(self, reviewer: str) -> Lease | None:
        """The next reading for a reviewer, if there is one.

        Third opinions come first, then the doubt with the smallest margin between the two best alternatives, which
        teaches most (Scheffer et al. 2001); sometimes one of the control sample. No one gets a reading that they have
        decided.
        A reviewer may hold several leases, so that the next item can be preloaded.
        """
        with self.database.writing(durable=False) as connection:
            return review.take(connection, reviewer, policy=self.policy, now=_now())

    def renew(self, lease: int, *, by: str) -> Lease:
        """A new lease of the same reading for the same purpose, to look again at a decided or abandoned item.

        Raises:
            NotInStore: no such lease of this reviewer.
            LeaseLost: another reviewer holds the item.
        """
        with self.database.writing(durable=False) as connection:
            return review.renew(connection, lease, by=by, policy=self.policy, now=_now())

    def release(self, lease: int, *, by: str) -> None:
        """Return a leased reading undecided.

        Raises:
            NotInStore: no such lease of this reviewer.
        """
        with self.database.writing(durable=False) as connection:
            review.release(connection, lease, by=by, now=_now())

    def waiting(self) -> Waiting:
        """The size of the review queue."""
        with self.database.reading() as connection:
            return review.count_waiting(connection, _now())

    def statistics(self, filter: Filter = EVERYTHING) -> Statistics:  # noqa: A002
        """Reading quality: outcomes, confusions, the measured error rate, day by day."""
        with self.database.reading() as connection:
            return compute_statistics(connection, filter)

    def delete(self, ids: Sequence[int]) -> Deleted:
        """Delete readings permanently with their corrections, and pictures that nothing else uses.

        Unknown ids are ignored. Works on a full disk, too. Each 500 readings are one transaction.
        """
        return self._deletions.delete(ids)

    def forget(self, *, before: datetime, force: bool = False) -> Deleted:
        """Delete permanently every reading and form record older than `before`; also ended sessions.

        Raises:
            RetentionRefused: more than half of all would be deleted, or the newest is far older than `before`, as when
                the clock is wrong; `force` deletes them in any case.
        """
        if not force:
            self._deletions.check_retention(before)
        deleted = self._deletions.delete_older(before)
        self.forms.forget(before=before)
        with self.database.writing() as connection:
            drop_expired(connection)
        self.database.checkpoint()
        return deleted

    def sweep(self, *, force: bool = False) -> int:
        """Delete picture files that nothing uses, as a crash can leave them; returns their number.

        Raises:
            StoreError: more unused pictures than readings, as after a lost database; `force` deletes them in any case.
        """
        return self._deletions.sweep(force=force)


def _now() -> datetime:
    return datetime.now(UTC)
