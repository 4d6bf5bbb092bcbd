"""Routes that check a request's head before its body is parsed, and the roles that they require."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import BaseModel
from starlette.responses import Response

from handigit.store import Role, User
from handigit.web.auth import COOKIE
from handigit.web.exchange_limits import guard_of
from handigit.web.problems import INVALID, Problem
from handigit.web.state import state_of

_BEARER: Final = HTTPBearer(auto_error=False, description="HANDIGIT_TOKEN, or a token from POST /v1/tokens")
_SESSION: Final = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /v1/session")
MAX_JSON_BYTES: Final = 64 * 1024
"""Largest JSON body: far above any correction, account or list of ids, and parsed within a millisecond."""


class RequireRole:
    """A dependency: the user must have this role, or one that includes it."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(
        self, request: Request, _bearer: Annotated[Any, Depends(_BEARER)], _cookie: Annotated[Any, Depends(_SESSION)]
    ) -> User:
        """The user; raises as `Access.require`."""
        return await state_of(request).access.require(request, self.role)


class AuthenticatedRoute(APIRoute):
    """Checks role, parameters and body size from the request's head; FastAPI alone would parse the body first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The checks, then FastAPI's own handler."""
        handler = super().get_route_handler()
        role, has_body = _required_role(self.dependant), self.body_field is not None
        names = _query_names(self.dependant)

        async def check_head(request: Request) -> Response:
            if role is not None:
                await state_of(request).access.require(request, role)
            check_query(request, names)
            if has_body:
                guard_of(request).limit_body(MAX_JSON_BYTES)
            return await handler(request)

        return check_head


def check_query(request: Request, names: frozenset[str]) -> None:
    """Refuse query parameters that the route does not have: a typo would silently change the result.

    Raises:
        Problem: naming them.
    """
    unknown = sorted(request.query_params.keys() - names)
    if unknown:
        known = f"this path knows {', '.join(sorted(names))}" if names else "this path has none"
        raise Problem(INVALID, f"unknown query parameters: {', '.join(name[:50] for name in unknown[:5])}; {known}")


def _required_role(dependant: Dependant) -> Role | None:
    if isinstance(dependant.call, RequireRole):
        return dependant.call.role
    roles = (_required_role(dependency) for dependency in dependant.dependencies)
    return next((role for role in roles if role is not None), None)


def _query_names(dependant: Dependant) -> frozenset[str]:
    names: set[str] = set()
    for param in dependant.query_params:
        annotation = param.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names |= annotation.model_fields.keys()
        else:
            names.add(param.alias)
    return frozenset(names.union(*(_query_names(dependency) for dependency in dependant.dependencies)))


AsReader = Annotated[User, Depends(RequireRole(Role.READER))]
AsReviewer = Annotated[User, Depends(RequireRole(Role.REVIEWER))]
AsAdmin = Annotated[User, Depends(RequireRole(Role.ADMIN))]
