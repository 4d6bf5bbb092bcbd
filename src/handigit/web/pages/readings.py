"""The pages at /readings: the searchable list, and one reading with its history."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from handigit.records import Outcome, percent
from handigit.store import NotInStore, Order, Purpose, Reading, Role
from handigit.web.pages.layout import AsReader, render
from handigit.web.params import ReadingFilter, TheStore
from handigit.web.problems import INVALID, Problem, problem_of_fields
from handigit.web.wording import local_time, written

router = APIRouter()
_ANSWERS: Final = {Outcome.READ: "A number", Outcome.BLANK: "Blank", Outcome.NOT_A_NUMBER: "Not a number"}
_PURPOSES: Final = {
    None: "without a request",
    Purpose.DOUBT: "reviewing an unsure reading",
    Purpose.CONTROL: "as a spot check",
    Purpose.SECOND: "as a second opinion",
    Purpose.THIRD: "as a third opinion after a disagreement",
}
_ROWS: Final = 50
_WEAK_BELOW: Final = 0.98  # a digit above is not worth a warning colour
_FIELDS: Final = ("digits", "source", "outcome", "corrected", "model", "since", "until", "sort")
_ORDERS: Final[dict[str, str]] = {
    "": "Newest first",
    "oldest": "Oldest first",
    "confidence": "Least certain first",
    "source": "By file name",
}
"""The orders of the list; the address names none for the usual one."""
_READING_NUMBER: Final = re.compile("[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Search:
    """The search form's fields, as they appear in the page's address; dates are in the server's time zone."""

    fields: Mapping[str, str]

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Search":
        """The search in an address."""
        return cls({name: query.get(name, "").strip() for name in _FIELDS})

    @property
    def is_filtered(self) -> bool:
        """Whether any field is set."""
        return any(value for name, value in self.fields.items() if name != "sort")

    @property
    def order(self) -> Order:
        """The order of the list.

        Raises:
            Problem: not one of the orders.
        """
        if self.fields["sort"] not in _ORDERS:
            raise Problem(INVALID, f"no order {self.fields['sort'][:40]!r}; there are: oldest, confidence, source")
        return cast("Order", self.fields["sort"] or "newest")

    def address(self, **changes: object) -> str:
        """The page's address with this search and `changes`."""
        query = {name: value for name, value in {**self.fields, **changes}.items() if value}
        return f"/readings?{urlencode(query)}" if query else "/readings"

    def as_reading_filter(self) -> ReadingFilter:
        """The same search as the API's parameters.

        Raises:
            Problem: a value that is not valid.
        """
        # The form field is not named "contains", which would shadow the form element's own `contains` in scripts.
        api_names = {"digits": "contains"}
        filled = {name: value for name, value in self.fields.items() if value and name != "sort"}
        values: dict[str, Any] = {api_names.get(name, name): value for name, value in filled.items()}
        values |= {
            name: _midnight(values[name], after=name == "until") for name in ("since", "until") if name in values
        }
        try:
            return ReadingFilter.model_validate(values)
        except ValidationError as wrong:
            raise problem_of_fields(wrong.errors()) from None


@router.get("/readings")
def show(request: Request, user: AsReader, store: TheStore) -> Response:
    """The list, newest first or in another order."""
    search, after = Search.from_query(request.query_params), request.query_params.get("after", "")
    wanted = search.as_reading_filter()
    start = _reading_number(after) if after else None
    page = store.readings(wanted.as_filter(), after=start, limit=_ROWS, order=search.order)
    return render(
        request,
        "readings.html",
        user,
        fields=search.fields,
        readings=page.readings,
        models=sorted({reading.provenance.model for reading in page.readings}),
        is_new=not (page.readings or search.is_filtered or after),
        is_filtered=search.is_filtered,
        orders=_ORDERS,
        sorted_address=lambda order: search.address(sort=order),
        may_delete=user.role.may(Role.ADMIN),
        first=search.address() if after else None,
        following=search.address(after=page.after) if page.after else None,
        model_address=lambda model: search.address(model=model),
        export_fields=wanted.model_dump(mode="json", exclude_none=True),
        **_HELPERS,
    )


@router.get("/readings/{number}")
def show_one(request: Request, user: AsReader, store: TheStore, number: str) -> Response:
    """One reading: the original beside the result, and its history."""
    reading = store.reading(_reading_number(number))
    return render(
        request,
        "reading.html",
        user,
        reading=reading,
        history=store.history(reading.id),
        digits=_digits(reading),
        ranked=((written(reading.number), reading.number.confidence), *reading.number.alternatives),
        answers=_ANSWERS,
        selected_answer=reading.outcome if reading.outcome in _ANSWERS else Outcome.READ,
        purposes=_PURPOSES,
        **_HELPERS,
    )


def _digits(reading: Reading) -> list[dict[str, Any]]:
    """The digits with their confidences; the least certain one is marked if it is weak."""
    digits = [digit for digit in reading.number.digits if digit.value is not None]
    lowest = min((digit.confidence for digit in digits), default=0)
    has_weak = len(digits) > 1 and lowest < _WEAK_BELOW
    return [
        {
            "value": digit.value,
            "confidence": percent(digit.confidence),
            "is_weakest": has_weak and digit.confidence == lowest,
        }
        for digit in digits
    ]


def state(reading: Reading) -> str:
    """A reading's state as people see it: "corrected" or "confirmed" by a person, else its outcome."""
    if reading.truth is None:
        return reading.outcome.label
    return "corrected" if reading.corrected else "confirmed"


def _reading_number(text: str) -> int:
    if not _READING_NUMBER.fullmatch(text):
        raise NotInStore(f"no reading {text[:40]!r}; readings are numbered from 1, see /readings")
    return int(text)


def _midnight(day: str, *, after: bool) -> datetime:
    """The start of a day, or its end, in the server's time zone."""
    try:
        return (datetime.combine(date.fromisoformat(day), time()) + timedelta(days=1) * after).astimezone()
    except (ValueError, OverflowError, OSError):
        raise Problem(INVALID, f"{day[:40]!r} is not a date; write it as 2026-03-31") from None


_HELPERS: Final[dict[str, Any]] = {
    "outcomes": tuple(Outcome),
    "percent": percent,
    "local_time": local_time,
    "state": state,
    "written": written,
}
