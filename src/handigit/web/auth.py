"""Who is asking, and what they may do.

A desk is open when the server listens on loopback only and has neither a token nor accounts: whoever sits there may do
everything. Else a bearer token or a session's cookie says who it is. Secrets are compared in the store, or in constant
time. It knows nothing of what is being asked for.
"""

import asyncio
import hmac
import ipaddress
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from handigit.errors import HandigitError
from handigit.settings import Settings
from handigit.store import Accounts, Role, User
from handigit.web.middleware import LOCAL_NAMES, Rate
from handigit.web.problems import INVALID, NOT_ALLOWED, TOO_MANY, WHO_ARE_YOU, Problem

COOKIE: Final = "handigit_session"
_AT_THE_DESK: Final = User("local", Role.ADMIN)
_BEARER: Final = HTTPBearer(auto_error=False, description="HANDIGIT_TOKEN, or a token from POST /v1/tokens")
_SESSION: Final = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /v1/session")
_TRIES_PER_MINUTE: Final = 12


class OpenToStrangers(HandigitError):
    """A server that others could reach and that asks nobody who they are."""


class Access:
    """Tells callers apart. `accounts` is None where there is no store."""

    def __init__(self, settings: Settings, accounts: Accounts | None) -> None:
        self.accounts = accounts
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        self._local = is_loopback(settings.host) and not settings.proxies and not settings.hosts
        self._tries = Rate(_TRIES_PER_MINUTE, burst=_TRIES_PER_MINUTE)
        self.refresh()

    def refresh(self) -> None:
        """See anew whether there are accounts: with the first one the desk is no longer open."""
        has_accounts = bool(self.accounts and (self.accounts.users() or self.accounts.tokens()))
        self.is_open = self._local and self._token is None and not has_accounts
        self._has_keys = has_accounts or self._token is not None

    def check_bind(self, host: str) -> None:
        """Refuse to stand open.

        Raises:
            OpenToStrangers: others can reach this address, and there is neither a token nor an account.
        """
        if not self._local and not self._has_keys:
            raise OpenToStrangers(
                f"others could reach {host}, directly or through a proxy, and nobody would be asked who they are; set "
                "HANDIGIT_TOKEN to a secret of 16 letters or more, or listen on 127.0.0.1 and add an account first"
            )

    def check_first(self, role: Role) -> None:
        """Refuse to lock everybody out: with the first account or token the desk is no longer open.

        Raises:
            Problem: it would not be an admin's.
        """
        if self.is_open and role is not Role.ADMIN:
            raise Problem(INVALID, f"role = {role}: the first account or token must be an admin's; add that first")

    async def who(self, request: Request) -> User | None:
        """Who sends this request; None if they do not say, or wrongly."""
        if self.is_open:
            return _AT_THE_DESK
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._of_token(secret.strip())
        cookie = request.cookies.get(COOKIE)
        if cookie and self.accounts:
            return await asyncio.to_thread(self.accounts.session, cookie)
        return None

    async def need(self, request: Request, role: Role) -> User:
        """Who sends this request, if they may do what needs `role`.

        Raises:
            Problem: nobody we know, or somebody who may not.
        """
        user = await self.who(request)
        if user is None:
            raise Problem(
                WHO_ARE_YOU,
                "send a token as 'Authorization: Bearer ...', or sign in at POST /v1/session",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not user.role.may(role):
            raise Problem(NOT_ALLOWED, f"{user.name} is a {user.role}, this needs a {role}; ask an admin")
        return user

    def check_tries(self, caller: str) -> None:
        """Slow down whoever guesses passwords.

        Raises:
            Problem: too many tries from there.
        """
        if wait := self._tries.take(caller):
            headers = {"Retry-After": str(round(wait + 1))}
            raise Problem(TOO_MANY, "too many tries to sign in; wait a minute", headers=headers)

    async def _of_token(self, secret: str) -> User | None:
        if self._token and hmac.compare_digest(secret.encode(), self._token):
            return User("token", Role.ADMIN)
        return await asyncio.to_thread(self.accounts.token, secret) if self.accounts else None


class Needs:
    """A dependency: whoever asks must have this role, or one that includes it."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def __call__(
        self, request: Request, _bearer: Annotated[Any, Depends(_BEARER)], _cookie: Annotated[Any, Depends(_SESSION)]
    ) -> User:
        """Who it is; refuses as `Access.need`."""
        access: Access = request.app.state.access
        return await access.need(request, self._role)


AsReader = Annotated[User, Depends(Needs(Role.READER))]
AsReviewer = Annotated[User, Depends(Needs(Role.REVIEWER))]
AsAdmin = Annotated[User, Depends(Needs(Role.ADMIN))]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """The names by which the server may be called; None for any, where everybody is asked who they are."""
    named = frozenset(name.strip().lower() for name in settings.hosts.split(",") if name.strip())
    return named | LOCAL_NAMES if named or is_loopback(settings.host) else None
