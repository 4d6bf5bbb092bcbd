"""The sign-in page, and the form for the first account of a server that has only a token."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from handigit.web.pages.layout import render
from handigit.web.state import state_of

router = APIRouter()


@router.get("/sign-in")
async def show(request: Request, back: str = "/") -> Response:
    """The page; a user who has already signed in is redirected to `back`."""
    access = state_of(request).access
    if await access.identify(request):
        return RedirectResponse(_local_address(back), status_code=303)
    needs_account = access.accounts is not None and not await asyncio.to_thread(access.accounts.users)
    return render(request, "sign_in.html", None, back=_local_address(back), needs_account=needs_account)


def _local_address(address: str) -> str:
    """The address if it is on this site, else "/": no open redirects."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"
