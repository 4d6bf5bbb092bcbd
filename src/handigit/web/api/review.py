"""`/v1/review`: readings that a person should check, one at a time, leased to one reviewer until decided."""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from handigit.store import Lease
from handigit.web.api.readings import correction_dict
from handigit.web.openapi import problem_response
from handigit.web.params import MAX_ID, TEXT_OR_REASON, CorrectionBody, IdempotencyKey, RowId, TheStore, Writes
from handigit.web.routes import AsReader, AsReviewer, AuthenticatedRoute

router = APIRouter(prefix="/v1/review", tags=["review"], route_class=AuthenticatedRoute)
_LOST = problem_response(404, "No such lease") | problem_response(409, "Leased to someone else now, or the key is used")


class Decision(CorrectionBody):
    """The reviewer's decision on the leased reading."""

    reading: Annotated[int, Field(ge=1, le=MAX_ID, description="The reading's id")]
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reading": 12, "text": "0715", "outcome": "read"}], **TEXT_OR_REASON}
    )


@router.get("")
def count_waiting(_user: AsReader, store: TheStore) -> dict[str, int]:
    """Count the readings to review, by reason, and those leased."""
    return asdict(store.waiting())


@router.post("/lease", responses={204: {"description": "Nothing to review"}})
async def lease(user: AsReviewer, store: TheStore, writes: Writes) -> Any:
    """Lease the next reading; no one else gets it until the lease ends."""
    leased = await writes.run(partial(store.lease, user.name))
    return _lease_dict(leased) if leased else Response(status_code=204)


@router.post("/lease/{number}/decide", responses=_LOST)
async def decide(
    user: AsReviewer, store: TheStore, writes: Writes, number: RowId, decision: Decision, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Decide the leased reading; a repeated request has one effect."""
    lease_key = key or f"lease-{number}"
    truth = decision.as_truth()
    change = partial(store.decide, decision.reading, truth, by=user.name, key=lease_key, lease=number)
    return correction_dict(await writes.run(change))


@router.post("/lease/{number}/renew", responses=_LOST)
async def renew(user: AsReviewer, store: TheStore, writes: Writes, number: RowId) -> dict[str, Any]:
    """Lease a reading again that you had before, for instance to change your decision."""
    return _lease_dict(await writes.run(partial(store.renew, number, by=user.name)))


@router.post("/lease/{number}/release", status_code=204, responses=_LOST)
async def release(user: AsReviewer, store: TheStore, writes: Writes, number: RowId) -> None:
    """Return a reading undecided."""
    await writes.run(partial(store.release, number, by=user.name))


def _lease_dict(leased: Lease) -> dict[str, Any]:
    return {
        "id": leased.id,
        "reading": leased.reading.as_dict(),
        "purpose": leased.purpose.value,
        "until": leased.until.isoformat(timespec="milliseconds"),
    }
