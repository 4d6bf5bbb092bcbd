"""The results of a form: records, fields and checks, and the pages they came from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from handigit import Box
from handigit.forms.page_state import PageState
from handigit.forms.specs import Kind

Value = Decimal | date | time | bool | str | None


class FieldOutcome(StrEnum):
    """What became of a field."""

    READ = "read"
    DOUBT = "doubt"
    BLANK = "blank"


class RecordOutcome(StrEnum):
    """What became of a form."""

    READ = "read"
    DOUBT = "doubt"
    BLANK = "blank"
    UNPLACED = "unplaced"


class CheckState(StrEnum):
    """Whether a check holds; `not_checked` where a field of it is blank or on a missing page."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Alone:
    """The reading of a field before the checks."""

    text: str
    confidence: float
    outcome: FieldOutcome


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field as read.

    `raw`: as written; `text`: its digits, leading zeros kept; `value`: a Decimal, date, time, bool or text where that
    is decidable; `alternatives`: other texts with their probabilities; `box`: its place on the page in pixels of the
    page as given; `page`: counts from 0 within its source; `by`: who decided the text; `alone`: the reading before the
    checks; `copied`: columns taken over from a list; `note`: why it is a doubt.
    """

    name: str
    kind: Kind
    outcome: FieldOutcome
    raw: str = ""
    text: str = ""
    value: Value = None
    confidence: float = 0.0
    alternatives: tuple[tuple[str, float], ...] = ()
    box: Box | None = None
    page: int = 0
    by: Literal["reader", "checks", "person"] = "reader"
    alone: Alone | None = None
    copied: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    crop: UInt8[np.ndarray, "_ _"] | None = field(default=None, repr=False)

    def corrected(self, text: str, value: Value) -> "Field":
        """The field as a person decided it."""
        return replace(self, outcome=FieldOutcome.READ, raw=text, text=text, value=value, confidence=1.0, by="person")

    def to_json(self) -> dict[str, Any]:
        """The field as JSON has it; decimals, dates and times as text."""
        alone = self.alone
        return {
            "name": self.name,
            "kind": self.kind.value,
            "outcome": self.outcome.value,
            "raw": self.raw,
            "text": self.text,
            "value": self.value if isinstance(self.value, bool) or self.value is None else str(self.value),
            "confidence": round(self.confidence, 6),
            "alternatives": [[text, round(share, 6)] for text, share in self.alternatives],
            "box": self.box.as_list() if self.box else None,
            "page": self.page,
            "by": self.by,
            "alone": alone and {"text": alone.text, "confidence": round(alone.confidence, 6),
                                "outcome": alone.outcome.value},
            "copied": dict(self.copied),
            "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a record: what it says, whether it holds, its fields and, where it fails, why."""

    says: str
    state: CheckState
    fields: tuple[str, ...]
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """The check as JSON has it."""
        return {"says": self.says, "state": self.state.value, "fields": list(self.fields), "why": self.why}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a batch and its state: `page` counts from 0 within `source`, `form_page` from 1 within the form."""

    source: str
    page: int
    state: PageState
    reason: str = ""
    form_page: int | None = None
    method: str = ""
    agreement: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The page as JSON has it."""
        return {
            "source": self.source,
            "page": self.page,
            "state": self.state.value,
            "reason": self.reason,
            "form_page": self.form_page,
            "method": self.method,
            "agreement": round(self.agreement, 3),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One form as read, or one page that is not part of any: `outcome` is then `unplaced` or `blank`.

    `template` is empty for such a page. `missing`: pages of the form, counted from 1, that were not in the batch;
    `provenance`: digests of what read it (template, model).
    """

    outcome: RecordOutcome
    template: str = ""
    version: int = 0
    copy: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    pages: tuple[Page, ...] = ()
    source: str = ""
    missing: tuple[int, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    @property
    def problems(self) -> list[str]:
        """What a person should look at: pages without a form, missing pages, failed checks, doubts."""
        where = [f"{page.source}, page {page.page + 1}: {page.state}: {page.reason}" for page in self.pages
                 if page.state is not PageState.PLACED]  # fmt: skip
        where += [f"page {page} of the form is missing" for page in self.missing]
        where += [f"{check.says}: {check.why or 'fails'}" for check in self.checks if check.state is CheckState.FAILS]
        return where + [f"{one.name}: {one.text or one.raw or 'nothing'} is not sure{one.note and f' ({one.note})'}"
                        for one in self.fields.values() if one.outcome is FieldOutcome.DOUBT]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The record as JSON has it, on the command line and over HTTP."""
        return {
            "outcome": self.outcome.value,
            "template": self.template,
            "version": self.version,
            "copy": self.copy,
            "source": self.source,
            "fields": {name: one.to_json() for name, one in self.fields.items()},
            "checks": [one.to_json() for one in self.checks],
            "pages": [one.to_json() for one in self.pages],
            "missing": list(self.missing),
            "provenance": dict(self.provenance),
        }

    def json_line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.to_json(), ensure_ascii=False)
