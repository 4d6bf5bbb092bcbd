"""The results of a form: records, fields and checks, and their pages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from handigit import Box
from handigit.forms.errors import FormError
from handigit.forms.page_state import PageState
from handigit.forms.specs import Kind

Value = Decimal | date | time | bool | str | None


class FieldOutcome(StrEnum):
    """The outcome of a field."""

    READ = "read"
    DOUBT = "doubt"
    BLANK = "blank"


class RecordOutcome(StrEnum):
    """The outcome of a form."""

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
    """The reading of a field before the checks.

    `texts`: all texts that it may hold with their probabilities, from which checks can be applied again; `raw`: the
    likeliest as written.
    """

    text: str
    confidence: float
    outcome: FieldOutcome
    raw: str = ""
    note: str = ""
    texts: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The reading as JSON has it."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 6),
            "outcome": self.outcome.value,
            "raw": self.raw,
            "note": self.note,
            "texts": [[text, round(share, 6)] for text, share in self.texts],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Alone":
        """The reading of `to_json`; older ones have no texts."""
        return cls(
            content["text"],
            content["confidence"],
            FieldOutcome(content["outcome"]),
            content.get("raw", ""),
            content.get("note", ""),
            _pairs(content.get("texts", ())),
        )


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

    def corrected(self, text: str, value: Value, *, raw: str = "") -> "Field":
        """The field as a person decided it; an empty text leaves it blank."""
        outcome = FieldOutcome.READ if text else FieldOutcome.BLANK
        return replace(
            self, outcome=outcome, raw=raw or text, text=text, value=value, confidence=1.0, by="person", note=""
        )

    def to_json(self) -> dict[str, Any]:
        """The field as JSON has it; decimals, dates and times as text."""
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
            "alone": self.alone and self.alone.to_json(),
            "copied": dict(self.copied),
            "note": self.note,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Field":
        """The field of `to_json`, without its picture."""
        kind, alone = Kind(content["kind"]), content.get("alone")
        return cls(
            content["name"],
            kind,
            FieldOutcome(content["outcome"]),
            raw=content["raw"],
            text=content["text"],
            value=_value(kind, content["value"]),
            confidence=content["confidence"],
            alternatives=_pairs(content["alternatives"]),
            box=Box(*content["box"]) if content["box"] else None,
            page=content["page"],
            by=content["by"],
            alone=Alone.from_json(alone) if alone else None,
            copied=content["copied"],
            note=content["note"],
        )


def _pairs(given: Iterable[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((text, share) for text, share in given)


def _value(kind: Kind, value: Any) -> Value:
    """The value of a field from JSON, where decimals, dates and times are text."""
    if not isinstance(value, str):
        return value if isinstance(value, bool) else None
    if kind is Kind.DATE:
        return date.fromisoformat(value)
    if kind is Kind.TIME:
        return time.fromisoformat(value)
    try:
        return Decimal(value) if kind in {Kind.NUMBER, Kind.DECIMAL} else value
    except InvalidOperation:
        return value  # a number whose text is not only digits, such as 079X


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a record: its rule in words, whether it holds, its fields and the reason where it fails."""

    says: str
    state: CheckState
    fields: tuple[str, ...]
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """The check as JSON has it."""
        return {"says": self.says, "state": self.state.value, "fields": list(self.fields), "why": self.why}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Check":
        """The check of `to_json`."""
        return cls(content["says"], CheckState(content["state"]), tuple(content["fields"]), content["why"])


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

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Page":
        """The page of `to_json`."""
        return cls(**{**content, "state": PageState(content["state"])})


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One form as read, or one page that is not part of any: `outcome` is then `unplaced` or `blank`.

    `template` is empty for such a page. `missing`: pages of the form, counted from 1, that were not in the batch;
    `provenance`: digests of template and model, and the confidence from which a text was `read` (threshold).
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
    def place(self) -> str:
        """Its source and first page, which identify it within a batch."""
        return f"{self.source}, page {self.pages[0].page + 1}" if self.pages else self.source

    @property
    def problems(self) -> list[str]:
        """Problems for a person to look at: pages without a form, missing pages, failed checks, doubts."""
        where = [f"{page.source}, page {page.page + 1}: {page.state}: {page.reason}" for page in self.pages
                 if page.state is not PageState.PLACED]  # fmt: skip
        where += [f"page {page} of the form is missing" for page in self.missing]
        where += [f"{check.says}: {check.why or 'fails'}" for check in self.checks if check.state is CheckState.FAILS]
        doubts = [field for field in self.fields.values() if field.outcome is FieldOutcome.DOUBT]
        return where + [
            f"{field.name}: {field.text or field.raw or 'nothing'} is not sure{field.note and f' ({field.note})'}"
            for field in doubts
        ]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON has it, on the command line and over HTTP."""
        return {
            "outcome": self.outcome.value,
            "template": self.template,
            "version": self.version,
            "copy": self.copy,
            "source": self.source,
            "fields": {name: field.to_json() for name, field in self.fields.items()},
            "checks": [check.to_json() for check in self.checks],
            "pages": [page.to_json() for page in self.pages],
            "missing": list(self.missing),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Record":
        """The record of `to_json`.

        Raises:
            FormError: it is not a record.
        """
        try:
            return cls(
                RecordOutcome(content["outcome"]),
                template=content["template"],
                version=content["version"],
                copy=content["copy"],
                fields={name: Field.from_json(field) for name, field in content["fields"].items()},
                checks=tuple(map(Check.from_json, content["checks"])),
                pages=tuple(map(Page.from_json, content["pages"])),
                source=content["source"],
                missing=tuple(content["missing"]),
                provenance=content["provenance"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise FormError(f"not a record of a form ({problem!r}); give one that handigit form wrote") from None

    def json_line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(self.to_json(), ensure_ascii=False)
