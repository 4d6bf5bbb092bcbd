"""The page at /users: accounts and API tokens, for admins."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.store import Role
from handigit.web.pages.layout import AsAdmin, render
from handigit.web.params import TheStore
from handigit.web.state import state_of

router = APIRouter()


@router.get("/users")
def show(request: Request, user: AsAdmin, store: TheStore) -> Response:
    """The page."""
    accounts = store.accounts
    return render(
        request,
        "users.html",
        user,
        accounts=accounts.users(),
        tokens=[token for token in accounts.tokens() if token.revoked_at is None],
        roles=list(Role),
        is_open=state_of(request).access.is_open,
        you=user.name,
    )
