"""`/v1/models`: the models on this server, their cards, and which one is active."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from handigit.web.openapi import problem_response
from handigit.web.routes import AsAdmin, AsReader, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=AuthenticatedRoute)
_REJECTED = problem_response(404, "No such model") | problem_response(409, "The model is rejected, with the reason")


class Switch(BaseModel):
    """The model to activate."""

    name: str = Field(min_length=1, max_length=200, description="The name as listed")
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$", description="The digest that it must have")] = None
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "default"}]})


@router.get("")
def list_models(request: Request, _user: AsReader) -> dict[str, Any]:
    """List all models with their cards and digests, and which one is active."""
    return {"models": state_of(request).service.models.describe_all()}


@router.post("/switch", responses=_REJECTED)
def switch(request: Request, _user: AsAdmin, choice: Switch) -> dict[str, Any]:
    """Activate another model once it has passed its smoke test; no request fails meanwhile."""
    return state_of(request).service.models.switch(choice.name, sha256=choice.sha256).as_dict(active=True)


@router.post("/rollback", responses=_REJECTED)
def roll_back(request: Request, _user: AsAdmin) -> dict[str, Any]:
    """Activate the previous model."""
    return state_of(request).service.models.roll_back().as_dict(active=True)
