"""The pages at /readings: what was read, as a list to search in, and one reading with all that was said of it.

It knows what people look for and how it stands in an address; the rows are the store's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from handigit.records import Outcome, percent
from handigit.store import NotInStore, Purpose, Reading, Role
from handigit.web.pages.layout import AsReader, render
from handigit.web.params import TheStore, Wanted
from handigit.web.problems import INVALID, Problem, problem_of_fields
from handigit.web.wording import WORDS

router = APIRouter()
_TRUTHS: Final = {Outcome.READ: "A number", Outcome.BLANK: "Blank", Outcome.NOT_A_NUMBER: "Not a number"}
_WHY: Final = {
    None: "of their own accord",
    Purpose.DOUBT: "reviewing a doubt",
    Purpose.CONTROL: "reviewing the control sample",
    Purpose.SECOND: "as a second look",
    Purpose.THIRD: "as a third look, after two had disagreed",
}
_ROWS: Final = 50
_FIELDS: Final = ("digits", "outcome", "corrected", "model", "since", "until")
_NUMBER: Final = re.compile("[1-9][0-9]{0,17}")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for, in the words of the form and of the page's address; days are this machine's."""

    asked: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Search":
        """The search that an address states."""
        return cls({name: query.get(name, "").strip() for name in _FIELDS})

    @property
    def is_narrowed(self) -> bool:
        """Whether it asks for anything at all."""
        return any(self.asked.values())

    def address(self, **changes: object) -> str:
        """The page's address with this search, and more."""
        query = {name: value for name, value in {**self.asked, **changes}.items() if value}
        return f"/readings?{urlencode(query)}" if query else "/readings"

    def as_wanted(self) -> Wanted:
        """The same as the API's question.

        Raises:
            Problem: a value that makes no sense.
        """
        # Not "contains" in the form: a field of that name would hide the form's own `contains` from scripts.
        api_name = {"digits": "contains"}
        given: dict[str, Any] = {api_name.get(name, name): value for name, value in self.asked.items() if value}
        given |= {name: _midnight(given[name], after=name == "until") for name in ("since", "until") if name in given}
        try:
            return Wanted.model_validate(given)
        except ValidationError as wrong:
            raise problem_of_fields(wrong.errors()) from None


@router.get("/readings")
def show(request: Request, user: AsReader, store: TheStore) -> Response:
    """The list, newest first."""
    search, after = Search.of(request.query_params), request.query_params.get("after", "")
    wanted = search.as_wanted()
    page = store.readings(wanted.as_filter(), after=_number(after) if after else None, limit=_ROWS)
    return render(
        request,
        "readings.html",
        user,
        asked=search.asked,
        readings=page.readings,
        models=sorted({one.provenance.model for one in page.readings}),
        is_new=not (page.readings or search.is_narrowed or after),
        is_narrowed=search.is_narrowed,
        may_delete=user.role.may(Role.ADMIN),
        newest=search.address() if after else None,
        older=search.address(after=page.after) if page.after else None,
        of_model=lambda model: search.address(model=model),
        meant=wanted.model_dump(mode="json", exclude_none=True),
        **_SAYS,
    )


@router.get("/readings/{number}")
def show_one(request: Request, user: AsReader, store: TheStore, number: str) -> Response:
    """One reading: the original beside the result, and how each value came about."""
    reading = store.reading(_number(number))
    truth = reading.outcome if reading.outcome in _TRUTHS else Outcome.READ
    return render(
        request,
        "reading.html",
        user,
        reading=reading,
        history=store.history(reading.id),
        digits=_digits(reading),
        ranked=((reading.number.text, reading.number.confidence), *reading.number.alternatives),
        truths=_TRUTHS,
        said=truth,
        why=_WHY,
        **_SAYS,
    )


def _digits(reading: Reading) -> list[dict[str, Any]]:
    """What was read digit by digit, the least sure marked where there are several."""
    digits = [digit for digit in reading.number.digits if digit.value is not None]
    least = min((digit.confidence for digit in digits), default=0)
    return [
        {
            "value": digit.value,
            "confidence": percent(digit.confidence),
            "is_weakest": len(digits) > 1 and digit.confidence == least,
        }
        for digit in digits
    ]


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NotInStore(f"no reading {text[:40]!r}; readings have whole numbers from 1 on, see /readings")
    return int(text)


def _midnight(day: str, *, after: bool) -> datetime:
    """The moment at which a day begins here, or ends."""
    try:
        return (datetime.combine(date.fromisoformat(day), time()) + _DAY * after).astimezone()
    except (ValueError, OverflowError, OSError):
        raise Problem(INVALID, f"{day[:40]!r} is no day; write it as 2026-03-31") from None


def _moment(moment: datetime) -> str:
    """A moment in this machine's time, for people."""
    return f"{moment.astimezone():%-d %b %Y, %H:%M}"


_SAYS: Final[dict[str, Any]] = {"words": WORDS, "percent": percent, "moment": _moment}
