"""The pages at /sign-in (with a form for the first account) and /users (accounts and API tokens, for admins)."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from handigit.store import Role
from handigit.web.pages.layout import AsAdmin, render
from handigit.web.params import TheStore
from handigit.web.state import state_of

router = APIRouter()


@router.get("/sign-in")
async def show_sign_in(request: Request, back: str = "/") -> Response:
    """The page; a user who has already signed in is redirected to `back`."""
    access = state_of(request).access
    if await access.identify(request):
        return RedirectResponse(_local_address(back), status_code=303)
    needs_account = access.accounts is not None and not await asyncio.to_thread(access.accounts.users)
    return render(request, "sign_in.html", None, back=_local_address(back), needs_account=needs_account)


def _local_address(address: str) -> str:
    """The address if it is on this site, else "/": no open redirects."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


@router.get("/users")
def show_users(request: Request, user: AsAdmin, store: TheStore) -> Response:
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
