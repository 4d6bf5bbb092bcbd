"""`/v1/session`, `/v1/accounts`, `/v1/tokens`: signing in, and who may come in.

It knows cookies and addresses; secrets are the store's.
"""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from handigit.store import Accounts, NameTaken, NotInStore, Role, StoreError, Token, User
from handigit.store.accounts import SESSION_LIFE
from handigit.web.auth import COOKIE, AsAdmin, AsReader
from handigit.web.openapi import problem
from handigit.web.params import Number, TheStore
from handigit.web.problems import INVALID, WHO_ARE_YOU, Problem

router = APIRouter(prefix="/v1", tags=["accounts"])
_NAME: Final = r"^[A-Za-z0-9._@-]{1,64}$"
_MISSING = problem(404, "Nobody of that name, or no such token") | problem(409, "The name is taken")
Name = Annotated[str, Path(pattern=_NAME)]
Password = Annotated[SecretStr, Field(min_length=8, max_length=256)]


class SignIn(BaseModel):
    """A name and its password."""

    name: str = Field(min_length=1, max_length=64)
    password: SecretStr = Field(min_length=1, max_length=256)
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ada", "password": "correct horse"}]})


class NewAccount(BaseModel):
    """Somebody who may come in."""

    name: str = Field(pattern=_NAME)
    password: Password
    role: Role = Role.READER
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ada", "password": "correct horse", "role": "reader"}]}
    )


class NewPassword(BaseModel):
    """A password to take the old one's place."""

    password: Password


class NewToken(BaseModel):
    """A program that may come in."""

    name: str = Field(pattern=_NAME)
    role: Role = Role.READER
    days: float | None = Field(default=None, gt=0, le=3650, description="Days until it is worthless; none: never")


def _accounts(store: TheStore) -> Accounts:
    return store.accounts


TheAccounts = Annotated[Accounts, Depends(_accounts)]


@router.post("/session", responses=problem(401, "Name and password do not fit"))
def sign_in(request: Request, response: Response, accounts: TheAccounts, who: SignIn) -> dict[str, str]:
    """Sign in: the answer sets a cookie that no script can read and no other site can use."""
    request.app.state.access.check_tries(request.client.host if request.client else "unknown")
    secret = accounts.sign_in(who.name, who.password.get_secret_value())
    user = accounts.session(secret) if secret else None
    if secret is None or user is None:
        raise Problem(WHO_ARE_YOU, "name and password do not fit; an admin can set a new password")
    secure = request.url.scheme == "https"
    age = round(SESSION_LIFE.total_seconds())
    response.set_cookie(COOKIE, secret, max_age=age, httponly=True, samesite="strict", secure=secure)
    return _told(user)


@router.get("/session")
def who_am_i(user: AsReader) -> dict[str, str]:
    """Who you are here, and your role."""
    return _told(user)


@router.delete("/session", status_code=204)
def sign_out(request: Request, response: Response, accounts: TheAccounts) -> None:
    """Sign out; the session is over on the server too."""
    if secret := request.cookies.get(COOKIE):
        accounts.sign_out(secret)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/accounts")
def list_accounts(_user: AsAdmin, accounts: TheAccounts) -> dict[str, Any]:
    """Everybody who may come in."""
    return {"accounts": [_told(user) for user in accounts.users()]}


@router.post("/accounts", status_code=201, responses=_MISSING)
def add_account(request: Request, _user: AsAdmin, accounts: TheAccounts, new: NewAccount) -> dict[str, str]:
    """Let somebody in. With the first account the server asks everybody who they are."""
    request.app.state.access.check_first(new.role)
    try:
        user = accounts.add_user(new.name, new.password.get_secret_value(), new.role)
    except (NameTaken, NotInStore):
        raise
    except StoreError as problem:
        raise Problem(INVALID, str(problem)) from None
    request.app.state.access.refresh()
    return _told(user)


@router.put("/accounts/{name}/password", status_code=204, responses=_MISSING)
def set_password(_user: AsAdmin, accounts: TheAccounts, name: Name, new: NewPassword) -> None:
    """Give somebody a new password; their sessions end."""
    accounts.set_password(name, new.password.get_secret_value())


@router.delete("/accounts/{name}", status_code=204, responses=_MISSING)
def remove_account(_user: AsAdmin, accounts: TheAccounts, name: Name) -> None:
    """Let somebody in no longer; what they have said stays."""
    accounts.remove_user(name)


@router.get("/tokens")
def list_tokens(_user: AsAdmin, accounts: TheAccounts) -> dict[str, Any]:
    """All tokens, without their secrets."""
    return {"tokens": [_told_token(token) for token in accounts.tokens()]}


@router.post("/tokens", status_code=201)
def add_token(request: Request, _user: AsAdmin, accounts: TheAccounts, new: NewToken) -> dict[str, str]:
    """A token for a program; its secret is shown this once."""
    request.app.state.access.check_first(new.role)
    life = timedelta(days=new.days) if new.days else None
    secret = accounts.add_token(new.name, new.role, life=life)
    request.app.state.access.refresh()
    return {"name": new.name, "role": new.role.value, "secret": secret}


@router.delete("/tokens/{number}", status_code=204, responses=_MISSING)
def revoke(_user: AsAdmin, accounts: TheAccounts, number: Number) -> None:
    """Make a token worthless."""
    accounts.revoke(number)


def _told(user: User) -> dict[str, str]:
    return {"name": user.name, "role": user.role.value}


def _told_token(token: Token) -> dict[str, Any]:
    times = {"created_at": token.created_at, "expires_at": token.expires_at, "revoked_at": token.revoked_at}
    told = {name: moment.isoformat(timespec="seconds") if moment else None for name, moment in times.items()}
    return {"id": token.id, "name": token.name, "role": token.role.value} | told
