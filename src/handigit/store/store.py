"""The store: everything that was read, every picture it was read from, and every word that people said of it.

It knows which verb belongs to which part of this room, and what makes one transaction; how a part does its work is
that part's own. One store may be used by many threads, one database by many processes; each opens it for itself.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import ColumnElement, select

from handigit.records import Number
from handigit.store import deletion, review
from handigit.store.accounts import Accounts, drop_old_sessions
from handigit.store.database import Database
from handigit.store.errors import StoreError
from handigit.store.export import Format, lines
from handigit.store.pictures import Picture, Pictures, encode
from handigit.store.readings import (
    LARGEST_PAGE,
    NewPage,
    get_corrections,
    get_reading,
    insert_pictures,
    insert_readings,
    list_readings,
    require_reading,
)
from handigit.store.schema import upgrade
from handigit.store.statistics import Insights, Statistics, compute_statistics
from handigit.store.tables import corrections, readings
from handigit.store.types import Correction, Deleted, Filter, Lease, Page, Policy, Provenance, Reading, Truth, Waiting

EVERYTHING = Filter()
USUAL_POLICY = Policy()
_MOST_AT_ONCE = 10_000  # SQLite takes 32,766 parameters


class Store:
    """A database and the folder of its pictures; `accounts` holds users, sessions and tokens.

    Times are this machine's clock, in UTC. Use as a context manager, or `close` it.
    """

    def __init__(self, database: Database, pictures: Pictures, policy: Policy) -> None:
        self.database = database
        self.pictures = pictures
        self.policy = policy
        self.accounts = Accounts(database)
        self.insights = Insights(database)

    @classmethod
    def open(cls, url: str, *, files: Path, policy: Policy = USUAL_POLICY) -> "Store":
        """Open a database, made or brought up to date if need be.

        `url` is `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.

        Raises:
            StoreError: no such database, one of a newer Handigit, or a folder that cannot be written.
        """
        database = Database(url)
        upgrade(database)
        return cls(database, Pictures(files), policy)

    def close(self) -> None:
        """Give every connection back; what was acknowledged is on disk already."""
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ping(self) -> None:
        """Ask the database whether it answers.

        Raises:
            StoreError: it does not.
        """
        with self.database.reading() as connection:
            connection.execute(select(1))

    def add(
        self, numbers: Sequence[Number], provenance: Provenance, *, page: UInt8[np.ndarray, "..."] | None = None
    ) -> tuple[int, ...]:
        """Keep what was read from one page, all of it or nothing; the new readings' ids, in order.

        `page` is the decoded picture, grey (height, width) or colour (height, width, 3): it is kept as a PNG of its
        own, so that no metadata of the file it came in survives. Doubts and samples are queued for review.

        Raises:
            StoreError: it cannot be kept.
        """
        (added,) = self.add_many([NewPage(numbers, provenance, page)])
        if isinstance(added, StoreError):
            raise added
        return added

    def add_many(self, entries: Sequence[NewPage]) -> list[tuple[int, ...] | StoreError]:
        """Keep what was read from several pages in one transaction: as `add`, for a fraction of its cost.

        A page whose picture cannot be kept is left out with all that was read from it, and gives its error.

        Raises:
            StoreError: the database refuses; then nothing of any page is kept.
        """
        pictures = [self._placed(entry) for entry in entries]
        good = [(e, p) for e, p in zip(entries, pictures, strict=True) if not isinstance(p, StoreError)]
        added = iter(self._insert(good) if good else ())
        return [one if isinstance(one, StoreError) else next(added) for one in pictures]

    def _placed(self, entry: NewPage) -> Picture | StoreError | None:
        """An entry's picture, in its place; None if it has none, or nothing was read from it."""
        if entry.page is None or not entry.numbers:
            return None
        try:
            picture = encode(entry.page)
            self.pictures.put(picture.sha256, picture.content)
        except StoreError as problem:
            return problem
        return picture

    def _insert(self, entries: Sequence[tuple[NewPage, Picture | None]]) -> list[tuple[int, ...]]:
        now = _now()
        pictures = [picture for _, picture in entries if picture]
        with self.database.writing(durable=False) as connection:
            for one in pictures:  # again: until we held the turn to write, a deletion may have taken it
                self.pictures.put(one.sha256, one.content)
            insert_pictures(connection, pictures, now)
            added = insert_readings(connection, entries, now)
            numbers = [number for entry, _ in entries for number in entry.numbers]
            review.enqueue(connection, dict(zip(chain.from_iterable(added), numbers, strict=True)), policy=self.policy)
        return added

    def reading(self, reading: int) -> Reading:
        """One reading.

        Raises:
            NotInStore: no such reading.
        """
        with self.database.reading() as connection:
            return get_reading(connection, reading)

    def readings(self, filter: Filter = EVERYTHING, *, after: int | None = None, limit: int = 100) -> Page:  # noqa: A002
        """Readings, newest first, by pages of up to 1000 that stay put while new ones arrive."""
        with self.database.reading() as connection:
            return list_readings(connection, filter, after=after, limit=limit)

    def export(self, filter: Filter = EVERYTHING, *, format: Format) -> Iterator[str]:  # noqa: A002
        """All readings that are meant, as lines with their line ends, newest first; CSV begins with its headings.

        It goes by pages, so that a slow reader of the lines holds no transaction open.
        """
        return lines(self.all(filter), format=format)

    def all(self, filter: Filter = EVERYTHING) -> Iterator[Reading]:  # noqa: A002
        """All readings that are meant, newest first, a thousand in memory at a time."""
        after = None
        while True:
            page = self.readings(filter, after=after, limit=LARGEST_PAGE)
            yield from page.readings
            after = page.after
            if after is None:
                return

    def history(self, reading: int) -> tuple[Correction, ...]:
        """Everything people have said of a reading, oldest first, undone or not.

        Raises:
            NotInStore: no such reading.
        """
        with self.database.reading() as connection:
            require_reading(connection, reading)
            return get_corrections(connection, corrections.c.reading == reading)

    def picture(self, digest: str) -> bytes:
        """A kept page as PNG, by its SHA-256.

        Raises:
            NotInStore: no such picture.
        """
        return self.pictures.read(digest)

    def decide(self, reading: int, truth: Truth, *, by: str, key: str, lease: int | None = None) -> Correction:
        """What a person says of a reading; on disk when this returns.

        The same `key` by the same person lands once: a retry gets the first one's answer. With `lease` the lease ends
        and the decision counts with its purpose. Two people who decide differently call for a third.

        Raises:
            NotInStore: no such reading or lease.
            KeyReused: the key came before with another decision.
            LeaseLost: another reviewer has been given the item since, or the lease is of another item.
        """
        with self.database.writing() as connection:
            said, new = review.record(connection, reading, truth, by=by, key=key, lease=lease, now=_now())
            if new:
                review.requeue(connection, reading, policy=self.policy)
        return said

    def undo(self, correction: int, *, by: str) -> Correction:
        """Take a correction back; undone twice is undone once. What was said before it counts again.

        Raises:
            NotInStore: no such correction.
        """
        with self.database.writing() as connection:
            said = review.take_back(connection, correction, by=by, now=_now())
            review.requeue(connection, said.reading, policy=self.policy)
        return said

    def lease(self, reviewer: str) -> Lease | None:
        """The next reading for a reviewer, or None if nothing waits for them.

        Third opinions come first, then the doubt that teaches most (the smallest margin between the two best
        answers: Scheffer et al. 2001); now and then one of the control sample. Nobody gets what they have decided.
        A reviewer may hold several, so that the next can be fetched ahead.
        """
        with self.database.writing(durable=False) as connection:
            return review.take(connection, reviewer, policy=self.policy, now=_now())

    def renew(self, lease: int, *, by: str) -> Lease:
        """A lease of the same reading for the same purpose, to look again at what was decided or left for long.

        Raises:
            NotInStore: no such lease of this reviewer.
            LeaseLost: another reviewer has the item by now.
        """
        with self.database.writing(durable=False) as connection:
            return review.renew(connection, lease, by=by, policy=self.policy, now=_now())

    def release(self, lease: int, *, by: str) -> None:
        """Give a leased reading back undecided.

        Raises:
            NotInStore: no such lease of this reviewer.
        """
        with self.database.writing(durable=False) as connection:
            review.give_back(connection, lease, by=by, now=_now())

    def waiting(self) -> Waiting:
        """How much is in the review queue."""
        with self.database.reading() as connection:
            return review.count_waiting(connection, _now())

    def statistics(self, filter: Filter = EVERYTHING) -> Statistics:  # noqa: A002
        """How well reading goes: outcomes, confusions, the measured error, day by day."""
        with self.database.reading() as connection:
            return compute_statistics(connection, filter)

    def delete(self, doomed: Sequence[int]) -> Deleted:
        """Delete readings for good, with what people said of them, and pictures that nothing else was read from.

        Ids of readings that are not there are passed over. Very many go in several transactions.
        """
        batches = (doomed[start : start + _MOST_AT_ONCE] for start in range(0, len(doomed), _MOST_AT_ONCE))
        gone = [self._delete(readings.c.id.in_(batch)) for batch in batches]
        return Deleted(sum(part.readings for part in gone), sum(part.pictures for part in gone))

    def forget(self, *, before: datetime) -> Deleted:
        """Delete for good every reading older than a moment; sessions that are over go too."""
        gone = self._delete(readings.c.at < before)
        with self.database.writing() as connection:
            drop_old_sessions(connection)
        self.database.checkpoint()
        return gone

    def sweep(self) -> int:
        """Delete the files that nothing names, as a crash may leave them; how many there were."""
        strays = list(self.pictures.all())
        with self.database.writing() as connection:
            removed = deletion.remove_unwanted(connection, self.pictures, strays)
        return removed + self.pictures.drop_parts()

    def _delete(self, condition: ColumnElement[bool]) -> Deleted:
        with self.database.writing() as connection:
            doomed = connection.execute(select(readings.c.id, readings.c.input).where(condition)).all()
            gone = deletion.delete_readings(connection, [row.id for row in doomed])
        digests = sorted({row.input for row in doomed if row.input})
        with self.database.writing() as connection:
            deletion.remove_unwanted(connection, self.pictures, digests)
        self.database.checkpoint()
        return gone


def _now() -> datetime:
    return datetime.now(UTC)
