"""Scans of forms to records: the public face of the room."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

from handigit import HandigitError, Reader, open_pages
from handigit.forms.align import Aligner, Placement, Refusal
from handigit.forms.checks import Checker, outcome_of
from handigit.forms.fields import read_fields
from handigit.forms.held_pages import HeldPages
from handigit.forms.number_reader import NumberReader
from handigit.forms.page_ink import Grey
from handigit.forms.page_state import PageState
from handigit.forms.pile import Document, documents
from handigit.forms.record import Field, Page, Record, RecordOutcome
from handigit.forms.template import Template
from handigit.forms.votes import Hypotheses

Corners = Float64[np.ndarray, "4 2"]
_ANY_COPY: Final = ""
_SAME_FIELDS: Final = 0.9
"""Fraction of the fields that two scans of one sheet have in common."""


@dataclass(frozen=True, eq=False)
class ReadPage:
    """One page of a pile: its state, and its fields where it was placed; `pixels` where they are kept."""

    page: Page
    placement: Placement | None = None
    fields: Mapping[str, Field] | None = None
    hypotheses: Mapping[str, Hypotheses] | None = None
    pixels: Grey | None = None


@dataclass(frozen=True, eq=False)
class ReadForm:
    """A record with the pictures of its pages, in their order, and a key of their content, templates and model."""

    record: Record
    pictures: tuple[Grey, ...]
    key: str


class FormReader:
    """Reads forms by their templates; each page finds its own among several.

    `templates`: paths of TOML files, names of the gallery, or `Template`s. `reader`: the reader of numbers, or None
    for the embedded models at `target_error`, the wanted fraction of wrong fields among those `read`. `keep_crops`:
    whether fields keep their pictures, for export.

    Raises:
        TemplateError: all faults of a template at once.
        RosterError: a lookup list that cannot be used.
        ValueError: no template, or two of the same name.
    """

    def __init__(
        self,
        templates: str | Path | Template | Sequence[str | Path | Template],
        *,
        reader: Reader | None = None,
        target_error: float = 0.01,
        keep_crops: bool = False,
    ) -> None:
        given = [templates] if isinstance(templates, str | Path | Template) else list(templates)
        if not given:
            raise ValueError("no template was given; give the path of a .toml file, or a name of the gallery")
        self.templates = tuple(item if isinstance(item, Template) else Template.load(item) for item in given)
        names = [template.name for template in self.templates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two templates are named {twice[0]!r}; names must differ")
        self._numbers = NumberReader(reader or Reader(target_error=target_error))
        self._keep_crops = keep_crops
        self._checkers = {template.name: Checker(template) for template in self.templates}

    @cached_property
    def _aligner(self) -> Aligner:
        return Aligner(self.templates)

    def read(self, image: object, *, source: str = "") -> Record:
        """Read one page, the first of a document; the form's other pages are then `missing`.

        Raises:
            ImageError: a picture that cannot be used.
            ModelError: a model that cannot be used.
        """
        name = source or (str(image) if isinstance(image, str | Path) else "picture")
        page = next(iter(open_pages(image)))  # type: ignore[arg-type]
        return self.record_of([self.read_page(page, source=name)])

    def records(self, sources: str | Path | Iterable[str | Path]) -> Iterator[Record]:
        """Read files, folders, patterns and archives; pages are grouped into forms; those without a form are kept.

        A form ends when its pages are complete, when one of them repeats, or with the pile. Each page is
        in exactly one record.
        """
        yield from self.group(self.pages(sources))

    def forms(self, pile: Iterable[Document]) -> Iterator[ReadForm]:
        """Read documents into records, as `records` does, with the pictures of their pages."""
        held = HeldPages()

        def watched() -> Iterator[ReadPage]:
            for read in self._read(pile, keep_pixels=True):
                if read.pixels is not None:
                    held.put((read.page.source, read.page.page), read.pixels)
                yield replace(read, pixels=None)

        for record in self.group(watched()):
            found = [held.pop((page.source, page.page)) for page in record.pages]
            pictures = tuple(picture for picture in found if picture is not None)
            yield ReadForm(record, pictures, self._key(record, pictures))

    def group(self, pages: Iterable[ReadPage]) -> Iterator[Record]:
        """Group pages that were read into records, as `records` does."""
        pile: dict[tuple[str, str], list[ReadPage]] = {}
        seen: dict[str, list[ReadPage]] = {}
        for page in pages:
            if page.placement is None:
                yield self.record_of([page])
                continue
            if (same := self._duplicate_of(page, seen)) is not None:
                state = replace(
                    page.page, state=PageState.DUPLICATE, reason=f"same as {same.source}, page {same.page + 1}"
                )
                yield self.record_of([ReadPage(state)])
                continue
            template = page.placement.template
            key = (template.name, page.placement.code.copy if page.placement.code else _ANY_COPY)
            group = pile.setdefault(key, [])
            if any(other.placement and other.placement.page == page.placement.page for other in group):
                yield self.record_of(pile.pop(key))
                group = pile.setdefault(key, [])
            group.append(page)
            if len(group) == len(template.pages):
                yield self.record_of(pile.pop(key))
        for group in pile.values():
            yield self.record_of(group)

    def pages(self, sources: str | Path | Iterable[str | Path]) -> Iterator[ReadPage]:
        """Read every page of files, folders, patterns and archives; what cannot be opened is a page `unplaced`."""
        return self._read(documents(sources, limits=self._numbers.limits))

    def _read(self, pile: Iterable[Document], *, keep_pixels: bool = False) -> Iterator[ReadPage]:
        digests: dict[str, Page] = {}
        for document in pile:
            number = -1
            try:
                for number, page in enumerate(document.open()):
                    digest = _digest(page)
                    if (same := digests.get(digest)) is not None:
                        reason = f"same as {same.source}, page {same.page + 1}"
                        one = ReadPage(Page(document.name, number, PageState.DUPLICATE, reason))
                    else:
                        one = self.read_page(page, source=document.name, number=number)
                        if one.page.state is not PageState.BLANK:
                            digests[digest] = one.page
                    yield replace(one, pixels=page) if keep_pixels else one
            except HandigitError as problem:
                yield ReadPage(Page(document.name, number + 1, PageState.UNPLACED, str(problem)))

    def read_page(self, page: Grey, *, source: str = "", number: int = 0) -> ReadPage:
        """Place a page that `open_pages` gave, and read its fields alone, without checks."""
        found = self._aligner.place(page)
        if isinstance(found, Refusal) and found.state is PageState.UNPLACED:
            # A sheet on a dark table may have been taken for light ink on dark paper.
            page = np.asarray(255 - page, np.uint8)
            if isinstance(other := self._aligner.place(page), Placement):
                found = other
        if isinstance(found, Refusal):
            return ReadPage(Page(source, number, found.state, found.reason))
        return self._read_placed(page, found, source, number)

    def read_at(
        self, page: Grey, corners: Corners, *, template: str, form_page: int = 1, source: str = "", number: int = 0
    ) -> ReadPage:
        """Read a page whose place a person gives: the corners of its sheet, in pixels of the page.

        They are left top, right top, right bottom, left bottom.

        Raises:
            ValueError: no such template or page of it, or corners that are not those of a sheet.
        """
        found = self._aligner.place_at(page, np.asarray(corners, np.float64), template, form_page)
        return self._read_placed(page, found, source, number)

    def _read_placed(self, page: Grey, found: Placement, source: str, number: int) -> ReadPage:
        fields, hypotheses = read_fields(page, found, self._numbers, number=number, keep_crops=self._keep_crops)
        state = Page(source, number, PageState.PLACED, form_page=found.page, method=found.method,
                     agreement=found.verdict.agreement)  # fmt: skip
        return ReadPage(state, found, fields, hypotheses)

    def record_of(self, pages: Sequence[ReadPage]) -> Record:
        """One record from the pages of one form, its checks applied; or from a page that has none."""
        first = pages[0]
        placement = first.placement
        if placement is None:
            blank = first.page.state is PageState.BLANK
            outcome = RecordOutcome.BLANK if blank else RecordOutcome.UNPLACED
            return Record(outcome, pages=(first.page,), source=first.page.source)
        template = placement.template
        fields = {name: field for page in pages for name, field in (page.fields or {}).items()}
        hypotheses = {name: hypothesis for page in pages for name, hypothesis in (page.hypotheses or {}).items()}
        source = f"{first.page.source}, page {first.page.page + 1}"
        fields, checks = self._checkers[template.name].apply(
            fields, hypotheses, threshold=self._numbers.threshold, source=source
        )
        present = {page.placement.page for page in pages if page.placement}
        missing = tuple(sorted(set(range(1, len(template.pages) + 1)) - present))
        fields = {spec.name: fields[spec.name] for spec in template.fields if spec.name in fields}
        return Record(
            outcome=outcome_of(template, fields, checks, missing),
            template=template.name,
            version=template.version,
            copy=placement.code.copy if placement.code else "",
            fields=fields,
            checks=checks,
            pages=tuple(page.page for page in pages),
            source=first.page.source,
            missing=missing,
            provenance={
                "template": template.digest,
                "model": self._numbers.digest,
                "threshold": f"{self._numbers.threshold:.6g}",
            },
        )

    def again(self) -> "FormReader":
        """A reader for another pile with the same templates and models, without the values that it has seen."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), _checkers={template.name: Checker(template) for template in self.templates})
        return other

    def _key(self, record: Record, pictures: Sequence[Grey]) -> str:
        """A digest of pages, templates and model: equal for equal scans."""
        template = record.provenance.get("template") or "-".join(template.digest for template in self.templates)
        places = [f"{page.source}:{page.page}" for page in record.pages] if not pictures else []
        parts = [*map(_digest, pictures), *places, template, self._numbers.digest, record.outcome.value]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @staticmethod
    def _duplicate_of(one: ReadPage, seen: dict[str, list[ReadPage]]) -> Page | None:
        """An earlier page with the same code and the same content; photocopies of one print share their code only."""
        assert one.placement is not None
        code = one.placement.code
        if code is None:
            return None
        known = seen.setdefault(str(code), [])
        same = next((other.page for other in known if _alike(other, one)), None)
        known.append(one)
        return same


def _digest(page: Grey) -> str:
    return hashlib.sha256(page.tobytes() + str(page.shape).encode()).hexdigest()


def _alike(first: ReadPage, second: ReadPage) -> bool:
    """Whether two pages have the same text in nearly all fields in which either has one."""
    texts = [{name: field.text for name, field in (page.fields or {}).items()} for page in (first, second)]
    written = [name for name in texts[0].keys() & texts[1].keys() if texts[0][name] or texts[1][name]]
    same = sum(texts[0][name] == texts[1][name] for name in written)
    return bool(written) and same >= _SAME_FIELDS * len(written)
