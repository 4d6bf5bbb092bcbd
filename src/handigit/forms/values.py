"""From the text of a field to its value: decimals with implied places, dates and times by pattern."""

import re
from datetime import date, time
from decimal import Decimal, InvalidOperation

from handigit.forms.record import Value
from handigit.forms.specs import FieldSpec, Kind

_YEARS = range(1800, 2100)
"""Years that a form is filled in with: 2826 is a misread 2026."""
_CENTURY_TURN = 70
"""A year of two digits from this on is of the last century."""
_NUMBER = re.compile("[0-9]+X?")
"""Digits as a person types them; X is the check digit 10."""


def value_of(spec: FieldSpec, text: str, raw: str = "") -> Value:
    """The value of a text of digits; None where it is none, such as a 31st of February.

    `raw` is the text as written: it has the decimal point where the form does not fix it.
    """
    if not text:
        return None
    if spec.kind is Kind.DATE:
        return _date(spec.pattern or "", text)
    if spec.kind is Kind.TIME:
        return _time(spec.pattern or "", text)
    if not text.isdecimal():
        return text
    if spec.kind is Kind.DECIMAL:
        places = spec.places if spec.places is not None else _places_in(raw)
        return Decimal(int(text)).scaleb(-places) if places else Decimal(int(text))
    return Decimal(int(text))


def parse_typed(spec: FieldSpec, typed: str) -> tuple[str, Value]:
    """Text and value of a person's entry: `36.8` or `36,8` for a decimal, `yes` for a mark, the digits of a date.

    An empty text is an empty field.

    Raises:
        ValueError: it cannot be one of this field.
    """
    typed = typed.strip()
    if not spec.kind.is_written:
        return _parse_mark(spec, typed)
    if not typed:
        return "", None
    if spec.kind is Kind.DECIMAL:
        try:
            value = Decimal(typed.replace(",", "."))
        except InvalidOperation:
            raise ValueError(f"{typed!r} is not a decimal, which {spec.name} holds; type one such as 36.8") from None
        places = spec.places if spec.places is not None else _places_in(typed)
        return str(int(abs(value).scaleb(places))), value
    digits = "".join(character for character in typed if character.isalnum())
    found = value_of(spec, digits, typed)
    if found is None or not _NUMBER.fullmatch(digits):
        raise ValueError(f"{typed!r} is not a {spec.kind}, which {spec.name} holds")
    return digits, found


def _parse_mark(spec: FieldSpec, typed: str) -> tuple[str, Value]:
    """A person's answer about a mark, a choice or a signature."""
    answers = [value for value, _ in spec.choices] if spec.kind is Kind.CHOICE else ["yes", "no"]
    if spec.kind is Kind.CODE or (spec.kind is Kind.CHOICE and not typed):
        return typed, typed or None
    if (typed or "no") not in answers:
        raise ValueError(f"{typed!r} is not an answer of {spec.name}; type one of: {', '.join(answers)}")
    return typed or "no", typed if spec.kind is Kind.CHOICE else typed == "yes"


def decimal_of(spec: FieldSpec, text: str, raw: str = "") -> Decimal | None:
    """The value as rules calculate with it; None for dates, times and texts."""
    value = value_of(spec, text, raw)
    return value if isinstance(value, Decimal) else None


def digits_pattern(spec: FieldSpec) -> str | None:
    """The allowed digits of a field, as a pattern for the reader."""
    if spec.pattern:
        return spec.pattern
    return rf"\d{{1,{spec.cells}}}" if spec.cells else None


def _places_in(raw: str) -> int:
    """Digits after the last separator, if it can be a decimal point: one or two digits behind it."""
    stripped = raw.rstrip("-=. ,$").lstrip("$ ")
    last = max(stripped.rfind("."), stripped.rfind(","))
    behind = len(stripped) - last - 1 if last >= 0 else 0
    return behind if 0 < behind <= 2 else 0


def _parts(pattern: str, text: str) -> dict[str, int] | None:
    """The numbers that the letters of a pattern such as DDMMYYYY represent."""
    letters = [letter for letter in pattern if letter.isalpha()]
    if len(letters) != len(text) or not text.isdecimal():
        return None
    digits: dict[str, str] = {}
    for letter, digit in zip(letters, text, strict=True):
        digits[letter] = digits.get(letter, "") + digit
    return {letter: int(value) for letter, value in digits.items()}


def _date(pattern: str, text: str) -> date | None:
    parts = _parts(pattern, text)
    if parts is None or not {"D", "M", "Y"} <= parts.keys():
        return None
    year = parts["Y"]
    if pattern.count("Y") == 2:
        year += 1900 if year >= _CENTURY_TURN else 2000
    try:
        return date(year, parts["M"], parts["D"]) if year in _YEARS else None
    except ValueError:
        return None


def _time(pattern: str, text: str) -> time | None:
    parts = _parts(pattern, text)
    if parts is None or "H" not in parts:
        return None
    try:
        return time(parts["H"], parts.get("M", parts.get("N", 0)), parts.get("S", 0))
    except ValueError:
        return None
