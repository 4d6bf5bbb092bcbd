"""`/v1/session`, `/v1/accounts`, `/v1/tokens`: signing in, users and tokens."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from handigit.store import Accounts, NameTaken, NotInStore, Role, StoreBusy, StoreError, StoreFull, Token, User
from handigit.store.accounts import SESSION_LIFE
from handigit.web.auth import COOKIE
from handigit.web.openapi import problem_response
from handigit.web.params import RowId, TheStore, Writes
from handigit.web.problems import INVALID, UNAUTHORISED, Problem
from handigit.web.routes import AsAdmin, AsReader, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=AuthenticatedRoute)
_NAME: Final = r"^[A-Za-z0-9._@-]{1,64}$"
_MISSING = problem_response(404, "No such user or token") | problem_response(409, "The name is taken")
Name = Annotated[str, Path(pattern=_NAME)]
Password = Annotated[SecretStr, Field(min_length=8, max_length=256)]


class SignIn(BaseModel):
    """A name and its password."""

    name: str = Field(min_length=1, max_length=64)
    password: SecretStr = Field(min_length=1, max_length=256)
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ada", "password": "correct horse"}]})


class NewAccount(BaseModel):
    """A user to add."""

    name: str = Field(pattern=_NAME)
    password: Password
    role: Role = Role.READER
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ada", "password": "correct horse", "role": "reader"}]}
    )


class NewPassword(BaseModel):
    """A password that replaces the old one."""

    password: Password


class NewToken(BaseModel):
    """A token to add, for a program."""

    name: str = Field(pattern=_NAME)
    role: Role = Role.READER
    days: float | None = Field(default=None, gt=0, le=3650, description="Days until it expires; null: never")


def _accounts(store: TheStore) -> Accounts:
    return store.accounts


TheAccounts = Annotated[Accounts, Depends(_accounts)]


@router.post("/session", responses=problem_response(401, "Wrong name or password"))
async def sign_in(
    request: Request, response: Response, accounts: TheAccounts, writes: Writes, body: SignIn
) -> dict[str, str]:
    """Sign in. The response sets a cookie that scripts cannot read and other sites cannot use."""
    known_session = request.cookies.get(COOKIE)
    if not known_session or await asyncio.to_thread(accounts.session, known_session) is None:
        state_of(request).access.check_sign_in_rate(request.client.host if request.client else "unknown")
    password = body.password.get_secret_value()
    secret = await writes.run(partial(accounts.sign_in, body.name, password, known_session=known_session))
    user = await asyncio.to_thread(accounts.session, secret) if secret else None
    if secret is None or user is None:
        raise Problem(UNAUTHORISED, "wrong name or password; an admin can set a new password")
    secure = request.url.scheme == "https"
    age = round(SESSION_LIFE.total_seconds())
    path = request.scope.get("root_path") or "/"
    response.set_cookie(COOKIE, secret, max_age=age, path=path, httponly=True, samesite="strict", secure=secure)
    return _user_dict(user)


@router.get("/session")
def who_am_i(user: AsReader) -> dict[str, str]:
    """Get your name and role."""
    return _user_dict(user)


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response, accounts: TheAccounts, writes: Writes) -> None:
    """Sign out; the session ends on the server too."""
    if secret := request.cookies.get(COOKIE):
        await writes.run(partial(accounts.sign_out, secret))
    response.delete_cookie(COOKIE, path=request.scope.get("root_path") or "/", httponly=True, samesite="strict")
    response.headers["Clear-Site-Data"] = '"cache"'  # private pictures may be in it


@router.get("/accounts")
def list_accounts(_user: AsAdmin, accounts: TheAccounts) -> dict[str, Any]:
    """List the users."""
    return {"accounts": [_user_dict(user) for user in accounts.users()]}


@router.post("/accounts", status_code=201, responses=_MISSING)
async def add_account(
    request: Request, _user: AsAdmin, accounts: TheAccounts, writes: Writes, new: NewAccount
) -> dict[str, str]:
    """Add a user. With the first user, everyone must sign in."""
    access = state_of(request).access
    access.check_first(new.role)
    try:
        user = await writes.run(partial(accounts.add_user, new.name, new.password.get_secret_value(), new.role))
    except (NameTaken, NotInStore, StoreBusy, StoreFull):
        raise
    except StoreError as problem:
        raise Problem(INVALID, str(problem)) from None
    await asyncio.to_thread(access.refresh)
    return _user_dict(user)


@router.put("/accounts/{name}/password", status_code=204, responses=_MISSING)
async def set_password(_user: AsAdmin, accounts: TheAccounts, writes: Writes, name: Name, new: NewPassword) -> None:
    """Set a new password; the user's sessions end."""
    await writes.run(partial(accounts.set_password, name, new.password.get_secret_value()))


@router.delete("/accounts/{name}", status_code=204, responses=_MISSING)
async def remove_account(_user: AsAdmin, accounts: TheAccounts, writes: Writes, name: Name) -> None:
    """Remove a user; their corrections stay."""
    await writes.run(partial(accounts.remove_user, name))


@router.get("/tokens")
def list_tokens(_user: AsAdmin, accounts: TheAccounts) -> dict[str, Any]:
    """List the tokens, without their secrets."""
    return {"tokens": [_token_dict(token) for token in accounts.tokens()]}


@router.post("/tokens", status_code=201, responses=_MISSING)
async def add_token(
    request: Request, _user: AsAdmin, accounts: TheAccounts, writes: Writes, new: NewToken
) -> dict[str, str]:
    """Add a token for a program; its secret is shown only once."""
    access = state_of(request).access
    access.check_first(new.role)
    life = timedelta(days=new.days) if new.days else None
    secret = await writes.run(partial(accounts.add_token, new.name, new.role, life=life))
    await asyncio.to_thread(access.refresh)
    return {"name": new.name, "role": new.role.value, "secret": secret}


@router.delete("/tokens/{number}", status_code=204, responses=_MISSING)
async def revoke_token(_user: AsAdmin, accounts: TheAccounts, writes: Writes, number: RowId) -> None:
    """Revoke a token."""
    await writes.run(partial(accounts.revoke, number))


def _user_dict(user: User) -> dict[str, str]:
    return {"name": user.name, "role": user.role.value}


def _token_dict(token: Token) -> dict[str, Any]:
    times = {"created_at": token.created_at, "expires_at": token.expires_at, "revoked_at": token.revoked_at}
    shown = {name: time.isoformat(timespec="seconds") if time else None for name, time in times.items()}
    return {"id": token.id, "name": token.name, "role": token.role.value} | shown
