"""Scans of forms to records: the public face of the room."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from handigit import HandigitError, ImageError, Reader, open_pages
from handigit.forms.align import Aligner, Placement, Refusal
from handigit.forms.checks import Checker
from handigit.forms.fields import Hypotheses, read_fields
from handigit.forms.number_reader import NumberReader
from handigit.forms.page_ink import Grey
from handigit.forms.page_state import PageState
from handigit.forms.record import Check, CheckState, Field, FieldOutcome, Page, Record, RecordOutcome
from handigit.forms.template import Template
from handigit.read.files import find_pictures

_ANY_COPY: Final = ""
_SAME_FIELDS: Final = 0.9
"""Fraction of the fields that two scans of one sheet have in common."""


@dataclass(frozen=True, eq=False)
class ReadPage:
    """One page of a pile: its state, and its fields where it was placed."""

    page: Page
    placement: Placement | None = None
    fields: Mapping[str, Field] | None = None
    hypotheses: Mapping[str, Hypotheses] | None = None


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
        self.templates = tuple(one if isinstance(one, Template) else Template.load(one) for one in given)
        names = [one.name for one in self.templates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two templates are named {twice[0]!r}; names must differ")
        self._numbers = NumberReader(reader or Reader(target_error=target_error))
        self._keep_crops = keep_crops
        self._checkers = {one.name: Checker(one) for one in self.templates}

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
        one = self.read_page(page, source=name)
        return self.record_of([one])

    def records(self, sources: str | Path | Iterable[str | Path]) -> Iterator[Record]:
        """Read files, folders and patterns; pages are grouped into forms, and pages without a form come too.

        A form ends when its pages are complete, when one of them comes a second time, or with the pile. Each page is
        in exactly one record.
        """
        yield from self.group(self.pages(sources))

    def group(self, pages: Iterable[ReadPage]) -> Iterator[Record]:
        """Group pages that were read into records, as `records` does."""
        pile: dict[tuple[str, str], list[ReadPage]] = {}
        seen: dict[str, list[ReadPage]] = {}
        for one in pages:
            if one.placement is None:
                yield self.record_of([one])
                continue
            if (same := self._duplicate_of(one, seen)) is not None:
                state = replace(
                    one.page, state=PageState.DUPLICATE, reason=f"same as {same.source}, page {same.page + 1}"
                )
                yield self.record_of([ReadPage(state)])
                continue
            template = one.placement.template
            key = (template.name, one.placement.code.copy if one.placement.code else _ANY_COPY)
            group = pile.setdefault(key, [])
            if any(other.placement and other.placement.page == one.placement.page for other in group):
                yield self.record_of(pile.pop(key))
                group = pile.setdefault(key, [])
            group.append(one)
            if len(group) == len(template.pages):
                yield self.record_of(pile.pop(key))
        for group in pile.values():
            yield self.record_of(group)

    def pages(self, sources: str | Path | Iterable[str | Path]) -> Iterator[ReadPage]:
        """Read every page of files, folders and patterns; a file that cannot be opened is a page `unplaced`."""
        digests: dict[str, Page] = {}
        given = [sources] if isinstance(sources, str | Path) else sources
        for path in find_pictures(map(Path, given)).items:
            if isinstance(path, ImageError):
                yield ReadPage(Page(str(path).partition(":")[0], 0, PageState.UNPLACED, str(path)))
                continue
            number = -1
            try:
                for number, page in enumerate(open_pages(path)):
                    digest = hashlib.sha256(page.tobytes() + str(page.shape).encode()).hexdigest()
                    if (same := digests.get(digest)) is not None:
                        reason = f"same as {same.source}, page {same.page + 1}"
                        yield ReadPage(Page(str(path), number, PageState.DUPLICATE, reason))
                        continue
                    one = self.read_page(page, source=str(path), number=number)
                    if one.page.state is not PageState.BLANK:
                        digests[digest] = one.page
                    yield one
            except HandigitError as problem:
                yield ReadPage(Page(str(path), number + 1, PageState.UNPLACED, str(problem)))

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
        fields = {name: one for page in pages for name, one in (page.fields or {}).items()}
        hypotheses = {name: one for page in pages for name, one in (page.hypotheses or {}).items()}
        source = f"{first.page.source}, page {first.page.page + 1}"
        fields, checks = self._checkers[template.name].apply(
            fields, hypotheses, threshold=self._numbers.threshold, source=source
        )
        present = {page.placement.page for page in pages if page.placement}
        missing = tuple(sorted(set(range(1, len(template.pages) + 1)) - present))
        fields = {spec.name: fields[spec.name] for spec in template.fields if spec.name in fields}
        return Record(
            outcome=_outcome(template, fields, checks, missing),
            template=template.name,
            version=template.version,
            copy=placement.code.copy if placement.code else "",
            fields=fields,
            checks=checks,
            pages=tuple(page.page for page in pages),
            source=first.page.source,
            missing=missing,
            provenance={"template": template.digest, "model": self._numbers.digest},
        )

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


def _alike(first: ReadPage, second: ReadPage) -> bool:
    """Whether two pages have the same text in nearly all fields in which either has one."""
    texts = [{name: field.text for name, field in (page.fields or {}).items()} for page in (first, second)]
    written = [name for name in texts[0].keys() & texts[1].keys() if texts[0][name] or texts[1][name]]
    same = sum(texts[0][name] == texts[1][name] for name in written)
    return bool(written) and same >= _SAME_FIELDS * len(written)


def _outcome(
    template: Template, fields: Mapping[str, Field], checks: Sequence[Check], missing: Sequence[int]
) -> RecordOutcome:
    """`read` only if every required field is, no field is a doubt, no check fails and no page is missing."""
    written = [one for name, one in fields.items() if template.by_name[name].kind.is_written or one.value]
    if fields and not missing and all(one.outcome is FieldOutcome.BLANK for one in written):
        return RecordOutcome.BLANK
    lacking = any(spec.required and (spec.name not in fields or fields[spec.name].outcome is not FieldOutcome.READ)
                  for spec in template.fields)  # fmt: skip
    doubted = any(one.outcome is FieldOutcome.DOUBT for one in fields.values())
    failing = any(check.state is CheckState.FAILS for check in checks)
    return RecordOutcome.DOUBT if lacking or doubted or failing or missing else RecordOutcome.READ
