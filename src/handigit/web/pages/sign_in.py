"""Where people say who they are, when the server asks for it."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from handigit.web.pages.layout import render

router = APIRouter()


@router.get("/sign-in")
async def show(request: Request, back: str = "/") -> Response:
    """The page; whoever has signed in already goes on to where they wanted to go."""
    if await request.app.state.access.who(request):
        return RedirectResponse(_own(back), status_code=303)
    return render(request, "sign_in.html", None, back=_own(back))


def _own(back: str) -> str:
    """An address of ours: no link leads from here to a stranger's page."""
    return back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
