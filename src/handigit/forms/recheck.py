"""Checks and lists applied again to records, without a new scan: from the texts that each field may hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from handigit.forms.checks import Checker, outcome_of
from handigit.forms.errors import FormError
from handigit.forms.record import Alone, Field, FieldOutcome, Record
from handigit.forms.specs import FieldSpec
from handigit.forms.template import Template
from handigit.forms.values import parse_typed, value_of
from handigit.forms.votes import Hypotheses

_USUAL_THRESHOLD: Final = 0.97
"""For records without the threshold of their reading."""


class Rechecker:
    """Applies the checks of templates to records that were read before, such as after a roster has changed.

    Values that must be unique are compared within the records of one `Rechecker`.

    Raises:
        TemplateError: all faults of a template at once.
        RosterError: a lookup list that cannot be used.
    """

    def __init__(self, templates: str | Path | Template | Sequence[str | Path | Template]) -> None:
        given = [templates] if isinstance(templates, str | Path | Template) else templates
        loaded = [one if isinstance(one, Template) else Template.load(one) for one in given]
        self._checkers = {template.name: Checker(template) for template in loaded}

    def note(self, records: Iterable[Record]) -> None:
        """Remember the unique values of other records of the batch."""
        for record in records:
            if record.template in self._checkers:
                self._checkers[record.template].note(record)

    def records(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records with their checks applied again, as `recheck`."""
        return map(self.recheck, records)

    def recheck(self, record: Record, *, corrected: Mapping[str, str] | None = None) -> Record:
        """The record with its checks applied again. `corrected`: texts of fields that a person has decided.

        Pages without a form stay as they are.

        Raises:
            FormError: a record of a template, or of a version of it, that was not given.
            ValueError: a text that its field cannot hold.
        """
        if not record.template:
            return record
        checker = self._checker(record)
        specs = checker.template.by_name
        fields = {name: _read_alone(field, specs[name]) for name, field in record.fields.items()}
        for name, typed in (corrected or {}).items():
            text, value = parse_typed(specs[name], typed)
            fields[name] = fields[name].corrected(text, value, raw=typed)
        hypotheses = {name: known for name, field in fields.items() if (known := _hypotheses(field)).texts}
        threshold = float(record.provenance.get("threshold", _USUAL_THRESHOLD))
        fields, checks = checker.apply(fields, hypotheses, threshold=threshold, source=record.place)
        return replace(
            record,
            fields=fields,
            checks=checks,
            outcome=outcome_of(checker.template, fields, checks, record.missing),
            provenance={**record.provenance, "template": checker.template.digest},
        )

    def _checker(self, record: Record) -> Checker:
        checker = self._checkers.get(record.template)
        if checker is None:
            names = ", ".join(self._checkers)
            raise FormError(f"{record.source}: a record of {record.template!r}; the templates given are: {names}")
        version = checker.template.version
        if version != record.version:
            raise FormError(f"{record.source}: read with version {record.version} of {record.template!r}, the template "
                            f"has version {version}; read the scan again")  # fmt: skip
        return checker


def _read_alone(field: Field, spec: FieldSpec) -> Field:
    """The field as it was before the checks; a person's decision stays."""
    alone = field.alone
    if field.by == "person" or alone is None:
        return field
    others = tuple(pair for pair in alone.texts if pair[0] != alone.text)
    same = field.text == alone.text
    return replace(
        field,
        outcome=alone.outcome,
        raw=alone.raw or field.raw,
        text=alone.text,
        value=field.value if same else value_of(spec, alone.text, alone.raw),
        confidence=alone.confidence,
        alternatives=others[:5],
        by="reader",
        copied={},
        note=alone.note,
    )


def _hypotheses(field: Field) -> Hypotheses:
    if field.by == "person":
        return Hypotheses(((field.text, 1.0),) if field.text else (), field.raw)
    alone = field.alone or Alone("", 0.0, FieldOutcome.BLANK)
    return Hypotheses(alone.texts, alone.raw)
