"""`/v1/review`: what people should look at, one at a time, held for one reviewer until they have decided.

It knows the store's verbs and their addresses.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from handigit.store import Lease
from handigit.web.api.readings import told
from handigit.web.auth import AsReader, AsReviewer
from handigit.web.openapi import problem
from handigit.web.params import Key, Number, Said, TheStore

router = APIRouter(prefix="/v1/review", tags=["review"])
_LOST = problem(404, "No such lease") | problem(409, "Somebody else holds it by now, or the key is used")


class Decision(Said):
    """What the reviewer says of the reading that they hold."""

    reading: Annotated[int, Field(ge=1, le=2**63 - 1, description="The reading's number")]
    model_config = ConfigDict(json_schema_extra={"examples": [{"reading": 12, "text": "0715", "outcome": "read"}]})


@router.get("")
def waiting(_user: AsReader, store: TheStore) -> dict[str, int]:
    """How much waits, by why it does, and how much of it is held."""
    return asdict(store.waiting())


@router.post("/lease", responses={204: {"description": "Nothing waits for you"}})
def lease(user: AsReviewer, store: TheStore) -> Any:
    """The next reading for you; nobody else is given it until the lease is over."""
    held = store.lease(user.name)
    return _told_lease(held) if held else Response(status_code=204)


@router.post("/lease/{number}/decide", responses=_LOST)
def decide(user: AsReviewer, store: TheStore, number: Number, decision: Decision, key: Key = None) -> dict[str, Any]:
    """Decide what you hold; sent twice it lands once."""
    own = key or f"lease-{number}"
    return told(store.decide(decision.reading, decision.as_truth(), by=user.name, key=own, lease=number))


@router.post("/lease/{number}/renew", responses=_LOST)
def renew(user: AsReviewer, store: TheStore, number: Number) -> dict[str, Any]:
    """A new lease of what you held before, unless somebody else has it: to look again at what you have decided."""
    return _told_lease(store.renew(number, by=user.name))


@router.post("/lease/{number}/release", status_code=204, responses=_LOST)
def release(user: AsReviewer, store: TheStore, number: Number) -> None:
    """Give a reading back undecided."""
    store.release(number, by=user.name)


def _told_lease(held: Lease) -> dict[str, Any]:
    until: datetime = held.until
    return {
        "id": held.id,
        "reading": held.reading.as_dict(),
        "purpose": held.purpose.value,
        "until": until.isoformat(timespec="milliseconds"),
    }
