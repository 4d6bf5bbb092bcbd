"""Answers as sentences for people, and the plain-text form of dates."""

from datetime import date, datetime

from handigit.records import Number, Outcome, percent
from handigit.store import Reading


def answer_sentence(outcome: Outcome, text: str, confidence: float, *, expected: str) -> str:
    """An answer in words; `expected` is "digit" or "number"."""
    match outcome:
        case Outcome.READ:
            return f"{text} ({percent(confidence)} sure)"
        case Outcome.DOUBT if text:
            return f"{'Probably' if confidence >= 0.5 else 'Perhaps'} {text} ({percent(confidence)}). Please check."
        case Outcome.DOUBT:
            return "Too unsure to say."
        case Outcome.BLANK:
            return "Nothing is written here."
    return f"This is not a {expected}."


def written(number: Number | Reading) -> str:
    """A number as it is written, such as "3.50"; an empty string where there is none."""
    return (number.raw or number.text) if number.text else ""


def day_name(day: date) -> str:
    """A date such as "3 May 2026", on every platform (`%-d` fails on Windows)."""
    return f"{day.day} {day:%b %Y}"


def local_time(moment: datetime) -> str:
    """A moment in the server's time zone, such as "3 May 2026, 14:05"."""
    local = moment.astimezone()
    return f"{day_name(local)}, {local:%H:%M}"
