"""`/v1/models`: which models there are, what their cards say, and which one reads."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from handigit.web.auth import AsAdmin, AsReader
from handigit.web.model_registry import Models
from handigit.web.openapi import problem

router = APIRouter(prefix="/v1/models", tags=["models"])
_REFUSED = problem(404, "No such model") | problem(409, "The model is refused, with the reason")


class Switch(BaseModel):
    """Which model is to read."""

    name: str = Field(min_length=1, max_length=200, description="The name as listed")
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$", description="What its bytes must have")] = None
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "default"}]})


@router.get("")
def list_models(request: Request, _user: AsReader) -> dict[str, Any]:
    """All models with their cards and digests, and which of them reads now."""
    return {"models": _models(request).known()}


@router.post("/switch", responses=_REFUSED)
def switch(request: Request, _user: AsAdmin, wanted: Switch) -> dict[str, Any]:
    """Read with another model from now on, once it has proved itself; no request fails meanwhile."""
    return _models(request).switch(wanted.name, sha256=wanted.sha256).as_dict(active=True)


@router.post("/rollback", responses=_REFUSED)
def roll_back(request: Request, _user: AsAdmin) -> dict[str, Any]:
    """Read with the model before this one again."""
    return _models(request).roll_back().as_dict(active=True)


def _models(request: Request) -> Models:
    models: Models = request.app.state.service.models
    return models
