"""Records of forms: one per form, with its pages, its content, and the history of every field.

The content is a record's JSON, as `handigit.forms.Record.to_json` gives it; only its `fields` are looked at here. It is
added again when checks are applied again, and never changed. Changes that people make in a field are added, too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import Connection, case, delete, exists, func, insert, select

from handigit.store.database import Database
from handigit.store.deletion import BATCH, delete_unused_inputs, remove_unused_files
from handigit.store.errors import BadTruth, KeyReused, NotInStore
from handigit.store.ingest import insert_pictures
from handigit.store.pictures import Picture, Pictures, encode
from handigit.store.readings import MAX_PAGE
from handigit.store.tables import form_changes, form_pages, form_records, form_revisions
from handigit.store.truth import MAX_TEXT_LENGTH
from handigit.store.types import Deleted

READER: Final = "reader"
"""Who signs the first revision."""
_PART: Final = 100
_COLUMNS: Final = ("template", "version", "copy", "outcome", "source")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One person's answer about a field; `text` None takes the reader's result back."""

    id: int
    record: int
    field: str
    text: str | None
    by: str
    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class FormRecord:
    """A stored record: the last content, the pictures of its pages by number from 1, and the changes, oldest first."""

    id: int
    content: Mapping[str, Any]
    pictures: Mapping[int, str]
    changes: tuple[FieldChange, ...]
    at: datetime
    request_id: str = ""
    batch: str = ""

    @property
    def corrected(self) -> dict[str, str]:
        """The text of each field whose last change was not taken back."""
        last = {change.field: change.text for change in self.changes}
        return {field: text for field, text in last.items() if text is not None}


@dataclass(frozen=True, slots=True)
class FormBatch:
    """Records that were sent together, with the time of the first and the newest id.

    `outcomes`: records by outcome; `states`: pages by state; `incomplete`: records that lack pages of their form.
    """

    name: str
    outcomes: Mapping[str, int]
    states: Mapping[str, int]
    incomplete: int
    templates: tuple[str, ...]
    at: datetime
    last: int

    @property
    def records(self) -> int:
        """Number of records."""
        return sum(self.outcomes.values())


class Forms:
    """The records of one store; every change is on disk when its method returns."""

    def __init__(self, database: Database, pictures: Pictures) -> None:
        self._database = database
        self._pictures = pictures

    def add(
        self,
        content: Mapping[str, Any],
        *,
        key: str,
        pages: Mapping[int, UInt8[np.ndarray, "..."] | Picture] | None = None,
        request_id: str = "",
        batch: str = "",
    ) -> int:
        """Store a record with the pictures of its pages; returns its id. `batch` names the files sent together.

        `key` identifies pages, template and model together, such as their joined digests: the same key is stored once,
        and later calls return the first id. `pages`: pictures by page number from 1, as `Store.add` takes them, or
        encoded.

        Raises:
            StoreError: it cannot be stored.
        """
        pictures = {n: page if isinstance(page, Picture) else encode(page) for n, page in (pages or {}).items()}
        for picture in pictures.values():
            self._pictures.put(picture.sha256, picture.content)
        with self._database.writing() as connection:
            known = connection.scalar(select(form_records.c.id).where(form_records.c.key == key))
            if known is not None:
                return int(known)
            values = {"key": key, "request_id": request_id, "batch": batch or request_id}
            return self._insert(connection, content, pictures, values)

    def _insert(
        self,
        connection: Connection,
        content: Mapping[str, Any],
        pictures: Mapping[int, Picture],
        values: dict[str, Any],
    ) -> int:
        now = _now()
        for picture in pictures.values():  # again: before we held the write lock, a deletion may have removed the file
            self._pictures.put(picture.sha256, picture.content, verify=False)
        insert_pictures(connection, list(pictures.values()), now)
        values |= _columns(content)
        statement = insert(form_records).values(**values, at=now)
        record = int(connection.execute(statement.returning(form_records.c.id)).scalar_one())
        rows = [{"record": record, "number": n, "input": picture.sha256} for n, picture in pictures.items()]
        if rows:
            connection.execute(insert(form_pages), rows)
        _add_revision(connection, record, content, by=READER, at=now)
        return record

    def get(self, record: int) -> FormRecord:
        """One record by id.

        Raises:
            NotInStore: no such record.
        """
        with self._database.reading() as connection:
            records = _load(connection, [record])
        if not records:
            raise _no_record(record)
        return records[0]

    def list(
        self,
        *,
        template: str | None = None,
        outcome: str | None = None,
        batch: str | None = None,
        state: str | None = None,
        incomplete: bool = False,
        after: int | None = None,
        limit: int = 100,
        oldest_first: bool = False,
    ) -> tuple[FormRecord, ...]:
        """Records, newest first, with ids below `after` (above it, if oldest first); at most `limit` and 1000.

        `state`: the state of their pages; `incomplete`: only those that lack pages of their form.
        """
        table = form_records.c
        order = table.id if oldest_first else table.id.desc()
        query = select(table.id).order_by(order).limit(max(1, min(limit, MAX_PAGE)))
        wanted = {table.template: template, table.outcome: outcome, table.batch: batch, table.state: state}
        for column, value in wanted.items():
            query = query if value is None else query.where(column == value)
        query = query.where(table.missing > 0) if incomplete else query
        if after is not None:
            query = query.where(table.id > after if oldest_first else table.id < after)
        with self._database.reading() as connection:
            found = _load(connection, connection.scalars(query).all())
        return found[::-1] if oldest_first else found

    def all(
        self, *, template: str | None = None, batch: str | None = None, oldest_first: bool = False
    ) -> Iterator[FormRecord]:
        """All records of a template or batch, or every one, newest first, with a hundred in memory at a time."""
        after = None
        select_part = partial(self.list, template=template, batch=batch, limit=_PART, oldest_first=oldest_first)
        while part := select_part(after=after):
            yield from part
            after = part[-1].id

    def batches(self, *, name: str | None = None, limit: int = 50) -> tuple[FormBatch, ...]:
        """The newest batches, the newest first; or the one of this name."""
        table = form_records.c
        last = func.max(table.id).label("last")
        newest = select(table.batch, last).group_by(table.batch).order_by(last.desc()).limit(limit)
        chosen = (newest if name is None else newest.where(table.batch == name)).subquery()
        incomplete = func.sum(case((table.missing > 0, 1), else_=0))
        keys = (table.batch, table.template, table.outcome, table.state, chosen.c.last)
        query = (
            select(*keys, func.count(), func.sum(table.pages), incomplete, func.min(table.at))
            .join(chosen, chosen.c.batch == table.batch)
            .group_by(*keys)
            .order_by(chosen.c.last.desc())
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(_batch(key, list(group)) for key, group in groupby(rows, key=lambda row: str(row[0])))

    def revise(self, record: int, content: Mapping[str, Any], *, by: str) -> None:
        """Add the content of a record after its checks were applied again; earlier ones stay in the history.

        Raises:
            NotInStore: no such record.
        """
        with self._database.writing() as connection:
            _require(connection, record)
            _add_revision(connection, record, content, by=by, at=_now())
            change = form_records.update().where(form_records.c.id == record)
            connection.execute(change.values(_columns(content)))

    def change(self, record: int, field: str, text: str | None, *, by: str, key: str) -> FieldChange:
        """Record a person's answer about a field; None takes the reader's result back.

        The same `key` by the same person is recorded once.

        Raises:
            NotInStore: no such record, or no such field in it.
            BadTruth: a text of more than 64 characters, or with control characters.
            KeyReused: the key was used for another change.
        """
        if text is not None and (len(text) > MAX_TEXT_LENGTH or not text.isprintable()):
            raise BadTruth(f"{text[:MAX_TEXT_LENGTH]!r} is not a text of up to {MAX_TEXT_LENGTH} printable characters")
        with self._database.writing() as connection:
            known = _changes(connection, (form_changes.c.by == by) & (form_changes.c.key == key))
            if known:
                if (known[0].record, known[0].field, known[0].text) != (record, field, text):
                    raise KeyReused(f"key {key[:40]!r} was used for another change; use a new key for each")
                return known[0]
            _require(connection, record)
            if field not in _contents(connection, [record])[record]["fields"]:
                raise NotInStore(f"record {record} has no field {field!r}")
            values = {"record": record, "field": field, "text": text, "by": by, "key": key, "at": _now()}
            id_ = connection.execute(insert(form_changes).values(**values).returning(form_changes.c.id)).scalar_one()
            return _changes(connection, form_changes.c.id == id_)[0]

    def revisions(self, record: int) -> tuple[tuple[datetime, str, Mapping[str, Any]], ...]:
        """Time, author and content of every revision of a record, oldest first.

        Raises:
            NotInStore: no such record.
        """
        query = select(form_revisions).where(form_revisions.c.record == record).order_by(form_revisions.c.id)
        with self._database.reading() as connection:
            _require(connection, record)
            return tuple((row.at, row.by, row.content) for row in connection.execute(query))

    def delete(self, records: Sequence[int]) -> Deleted:
        """Delete records permanently with their history, and pictures that nothing else uses.

        Unknown ids are ignored.
        """
        deleted = pictures = 0
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            with self._database.writing() as connection:
                query = select(form_pages.c.input).where(form_pages.c.record.in_(batch)).distinct()
                digests = connection.scalars(query).all()
                for table in (form_pages, form_revisions, form_changes):
                    connection.execute(delete(table).where(table.c.record.in_(batch)))
                deleted += connection.execute(delete(form_records).where(form_records.c.id.in_(batch))).rowcount
                pictures += delete_unused_inputs(connection, digests)
            with self._database.writing() as connection:
                remove_unused_files(connection, self._pictures, digests)
        self._database.checkpoint()
        return Deleted(deleted, pictures)

    def forget(self, *, before: datetime) -> Deleted:
        """Delete permanently every record older than `before`."""
        with self._database.reading() as connection:
            old = connection.scalars(select(form_records.c.id).where(form_records.c.at < before)).all()
        return self.delete(old)


def _load(connection: Connection, ids: Sequence[int]) -> tuple[FormRecord, ...]:
    """The records with these ids, newest first."""
    rows = connection.execute(select(form_records).where(form_records.c.id.in_(ids)).order_by(form_records.c.id.desc()))
    pages: dict[int, dict[int, str]] = {}
    for row in connection.execute(select(form_pages).where(form_pages.c.record.in_(ids))):
        pages.setdefault(row.record, {})[row.number] = row.input
    changes: dict[int, list[FieldChange]] = {}
    for change in _changes(connection, form_changes.c.record.in_(ids)):
        changes.setdefault(change.record, []).append(change)
    contents = _contents(connection, ids)
    return tuple(
        FormRecord(
            id=row.id,
            content=contents[row.id],
            pictures=pages.get(row.id, {}),
            changes=tuple(changes.get(row.id, ())),
            at=row.at,
            request_id=row.request_id,
            batch=row.batch,
        )
        for row in rows
    )


def _batch(name: str, rows: Sequence[Any]) -> FormBatch:
    """A batch from its counts by template, outcome and state."""
    outcomes, states = Counter[str](), Counter[str]()
    for _, _, outcome, state, _, records, pages, _, _ in rows:
        outcomes[outcome] += records
        states[state] += int(pages)
    return FormBatch(
        name,
        dict(outcomes),
        dict(states),
        incomplete=sum(int(row[7]) for row in rows),
        templates=tuple(sorted({row[1] for row in rows} - {""})),
        at=min(row[8] for row in rows),
        last=rows[0][4],
    )


def _columns(content: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that records are looked up by, from their content."""
    pages = content["pages"]
    return {name: content[name] for name in _COLUMNS} | {
        "state": pages[0]["state"] if pages else "",
        "pages": len(pages),
        "missing": len(content["missing"]),
    }


def _contents(connection: Connection, records: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The last content of each record."""
    table = form_revisions.c
    last = select(func.max(table.id)).where(table.record.in_(records)).group_by(table.record)
    rows = connection.execute(select(table.record, table.content).where(table.id.in_(last)))
    return {row.record: row.content for row in rows}


def _changes(connection: Connection, condition: Any) -> tuple[FieldChange, ...]:
    rows = connection.execute(select(form_changes).where(condition).order_by(form_changes.c.id))
    return tuple(FieldChange(r.id, r.record, r.field, r.text, r.by, r.at, r.key) for r in rows)


def _add_revision(connection: Connection, record: int, content: Mapping[str, Any], *, by: str, at: datetime) -> None:
    connection.execute(insert(form_revisions).values(record=record, content=dict(content), by=by, at=at))


def _require(connection: Connection, record: int) -> None:
    if not connection.scalar(select(exists().where(form_records.c.id == record))):
        raise _no_record(record)


def _no_record(record: int) -> NotInStore:
    return NotInStore(f"no form record {record}; it never existed, or was deleted")


def _now() -> datetime:
    return datetime.now(UTC)
