"""Records as rows: the columns of a pile of records, and the content of each cell."""

from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Final

from handigit.forms.record import Record, Value
from handigit.forms.specs import Kind

_ROUND_TRIP_DIGITS: Final = 9
"""Digits from which a number without decimals is an identifier, as account numbers are; fewer with a leading zero."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def columns_of(records: Iterable[Record]) -> list[str]:
    """The names of all fields and copied columns, in order of appearance."""
    names: dict[str, None] = {}
    for record in records:
        for field in record.fields.values():
            names[field.name] = None
            names |= dict.fromkeys(f"{field.name}.{key}" for key in field.copied)
    return list(names)


def facts_of(record: Record) -> list[str]:
    """The columns of a record before its fields."""
    pages = ", ".join(f"{Path(page.source).name} {page.page + 1}" for page in record.pages)
    return [record.outcome, record.template, str(record.version or ""), record.copy, record.source, pages,
            "; ".join(record.problems)]  # fmt: skip


def cell_of(record: Record, column: str) -> Value:
    """The value of a column: a decimal, date, time or bool, or text for identifiers and doubts without a value."""
    field = record.fields.get(column)
    if field is None:
        name, _, key = column.rpartition(".")
        field = record.fields.get(name)
        return field.copied.get(key, "") if field else ""
    if field.kind is Kind.NUMBER and is_identifier(field.text):
        return field.text
    return field.value if field.value is not None else field.text


def is_identifier(text: str) -> bool:
    """Whether digits are a name rather than an amount: a leading zero, or more digits than an amount has."""
    return text.isdecimal() and (len(text) >= _ROUND_TRIP_DIGITS or (len(text) > 1 and text[0] == "0"))


def text_of(value: Value) -> str:
    """A value as text in a CSV file: dates in ISO 8601; text that a spreadsheet would run as a formula is quoted."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | date | time):
        return str(value)
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
