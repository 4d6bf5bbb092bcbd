"""Forms over HTTP: scans to stored records, corrections, checks applied again, pages placed by hand."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any, Final

import numpy as np

from handigit.forms import FormReader, Rechecker, Record
from handigit.forms.pile import Document, document
from handigit.forms.reader import ReadForm
from handigit.forms.specs import Area, FieldSpec, PageSpec, UniqueCheck
from handigit.forms.template import Template
from handigit.images import open_pages
from handigit.images.limits import Limits
from handigit.read.archives import ArchiveLimits, is_archive, open_archive
from handigit.store import FormRecord, Store
from handigit.store.forms import READER
from handigit.web.batching import queue_problems
from handigit.web.form_templates import FormTemplates, form_problems
from handigit.web.problems import CONFLICT, INVALID, Problem
from handigit.web.service import Service, with_target_error
from handigit.web.uploads import Upload
from handigit.web.write_pool import WritePool

_READERS: Final = 8
"""Readers of forms that are kept, with the blanks of their templates."""
_TARGET_ERROR: Final = 0.01


@dataclass(frozen=True, slots=True)
class FormRequest:
    """How to read the files of one request.

    `template`: a name, or `auto` for all of them; `batch` names records that belong together.
    """

    template: str
    batch: str
    request_id: str
    keep: bool
    within_s: float
    target_error: float = _TARGET_ERROR


class FormService:
    """Reads, corrects and checks forms; its generators are used from one event loop, its other methods from threads."""

    def __init__(self, service: Service, templates: FormTemplates, writes: WritePool) -> None:
        self.templates = templates
        self._service = service
        self._writes = writes
        self._readers: OrderedDict[tuple[str, ...], FormReader] = OrderedDict()
        self._lock = Lock()

    async def read(self, uploads: Sequence[Upload], request: FormRequest) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON of each record as soon as it is read and stored, with `id` and `batch`, null where it is not kept.

        Raises:
            Problem: no capacity, no such template, or no page in time.
        """
        reader = await asyncio.to_thread(self._reader, request.template, request.target_error)
        pages = partial(_read_pile, reader, uploads, self._service.models.active.reader.limits)
        stream = self._service.documents.pages(pages, within_s=request.within_s)
        with queue_problems(request.within_s):
            async with aclosing(stream) as found:
                async for form in found:
                    number = await self._store(form, request) if request.keep else None
                    yield record_dict(form.record, number, request.batch if number else None)

    async def _store(self, form: ReadForm, request: FormRequest) -> int:
        store = self._service.store
        assert store is not None
        pages = dict(enumerate(form.pictures, start=1))
        add = partial(store.forms.add, form.record.to_json(), key=form.key, pages=pages,
                      request_id=request.request_id, batch=request.batch)  # fmt: skip
        return await self._writes.run(add)

    def _reader(self, name: str, target_error: float) -> FormReader:
        """A reader for one pile; templates and models stay loaded between piles."""
        templates = self.templates.select(name)
        model = self._service.models.active.reader
        key = (*(template.digest for template in templates), model.number_engine.digest, str(target_error))
        with self._lock, form_problems():
            if key not in self._readers:
                self._readers[key] = FormReader(templates, reader=with_target_error(model, target_error))
            self._readers.move_to_end(key)
            while len(self._readers) > _READERS:
                self._readers.popitem(last=False)
            return self._readers[key].again()

    def correct(self, store: Store, number: int, field: str, text: str | None, *, by: str, key: str) -> FormRecord:
        """Record a person's answer about a field, then apply the checks again; None takes the reader's text back.

        Raises:
            NotInStore: no such record or field.
            Problem: a text that the field cannot hold.
        """
        stored = store.forms.get(number)
        if text is not None and field in stored.content["fields"]:
            self._rechecked(store, stored, {**stored.corrected, field: text})  # whether it is valid
        store.forms.change(number, field, text, by=by, key=key)
        return self._revise(store, store.forms.get(number), by=by)

    def recheck(self, store: Store, batch: str, *, by: str) -> dict[str, int]:
        """Apply the checks of the current templates to all records of a batch; returns counts, and how many changed."""
        records = sorted(store.forms.all(batch=batch), key=lambda one: one.id)
        changed = 0
        checkers: dict[str, Rechecker] = {}
        for stored in records:
            before = dict(stored.content)
            after = self._revise(store, stored, by=by, checkers=checkers)
            changed += dict(after.content) != before
        return {"records": len(records), "changed": changed}

    def place(self, store: Store, number: int, corners: Sequence[Sequence[float]], *, template: str, page: int,
              by: str) -> FormRecord:  # fmt: skip
        """Read a page again whose corners a person has given.

        Raises:
            Problem: it has no picture, or more than one page; corners that are not those of a sheet.
        """
        stored = store.forms.get(number)
        if len(stored.pictures) != 1:
            raise Problem(
                CONFLICT, f"record {number} has {len(stored.pictures)} stored pages; only a single page is placed"
            )
        limits = self._service.models.active.reader.limits
        pixels = next(open_pages(store.picture(next(iter(stored.pictures.values()))), limits=limits))
        reader, seen = self._reader(template, _TARGET_ERROR), stored.content["pages"][0]
        try:
            read = reader.read_at(pixels, np.asarray(corners, np.float64), template=template, form_page=page,
                                  source=seen["source"], number=seen["page"])  # fmt: skip
        except ValueError as problem:
            raise Problem(INVALID, str(problem)) from None
        record = reader.record_of([read])
        content = replace(record, provenance={**record.provenance, "placed_by": by}).to_json()
        store.forms.revise(number, content, by=READER)
        return self._revise(store, store.forms.get(number), by=by) if stored.corrected else store.forms.get(number)

    def _revise(
        self, store: Store, stored: FormRecord, *, by: str, checkers: dict[str, Rechecker] | None = None
    ) -> FormRecord:
        """The record with its checks applied again, stored if that changed it."""
        content = self._rechecked(store, stored, stored.corrected, checkers).to_json()
        if content == dict(stored.content):
            return stored
        store.forms.revise(stored.id, content, by=by)
        return store.forms.get(stored.id)

    def _rechecked(
        self, store: Store, stored: FormRecord, corrected: dict[str, str], checkers: dict[str, Rechecker] | None = None
    ) -> Record:
        """The record as the reader left it, with these corrections and the checks of its template.

        A form whose template is not on this server any more is corrected without checks.
        """
        history = [content for _, author, content in store.forms.revisions(stored.id) if author == READER]
        record = Record.from_json(history[-1])
        template = self._template_of(record)
        checks = record.checks if template is None else None
        known = template or _bare_template(record)
        checker = (checkers or {}).get(record.template)
        with form_problems():
            if checker is None:
                checker = Rechecker(known)
                if checkers is not None:
                    checkers[record.template] = checker
                elif any(isinstance(check.test, UniqueCheck) for check in known.checks):
                    others = store.forms.all(batch=stored.batch, template=record.template)
                    checker.note(Record.from_json(other.content) for other in others if other.id < stored.id)
            try:
                found = checker.recheck(record, corrected=corrected)
            except ValueError as problem:
                raise Problem(INVALID, str(problem)) from None
        return found if checks is None else replace(found, checks=checks)

    def _template_of(self, record: Record) -> Template | None:
        try:
            template = self.templates.get(record.template)
        except Problem:
            return None
        return template if template.version == record.version else None


def record_dict(record: Record, number: int | None, batch: str | None) -> dict[str, Any]:
    """A record's JSON over HTTP."""
    return {"id": number, "batch": batch} | record.to_json() | {"problems": record.problems}


def stored_dict(stored: FormRecord) -> dict[str, Any]:
    """A stored record's JSON, with the pictures of its pages."""
    facts = {"at": stored.at.isoformat(), "pictures": {str(page): digest for page, digest in stored.pictures.items()}}
    return record_dict(Record.from_json(stored.content), stored.id, stored.batch) | facts


def _bare_template(record: Record) -> Template:
    """A template that knows only the kinds of a record's fields."""
    fields = tuple(FieldSpec(name, field.kind, Area(0, 0, 1, 1)) for name, field in record.fields.items())
    return Template(record.template, (PageSpec((1, 1)),), fields, version=record.version)


def _read_pile(reader: FormReader, uploads: Sequence[Upload], limits: Limits) -> Generator[ReadForm, None, None]:
    yield from reader.forms(_documents(uploads, limits))


def _documents(uploads: Sequence[Upload], limits: Limits) -> Iterator[Document]:
    for upload in uploads:
        if is_archive(upload.name):
            upload.file.seek(0)
            for name, content in open_archive(upload.file, upload.name, limits=ArchiveLimits()):
                yield document(name, content, limits=limits)
        else:
            yield Document(upload.name, partial(open_pages, upload.source(), limits=limits))
