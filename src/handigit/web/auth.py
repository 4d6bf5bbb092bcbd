"""Authentication and roles.

Everyone may do everything while the server listens on loopback only and has neither a token nor accounts. Otherwise a
bearer token or a session cookie identifies the user. Secrets are compared in the store, or in constant time.
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
from handigit.web.middleware import LOCAL_NAMES, TokenBucket, too_many
from handigit.web.problems import FORBIDDEN, INVALID, UNAUTHORISED, Problem

COOKIE: Final = "handigit_session"
_LOCAL_USER: Final = User("local", Role.ADMIN)
_BEARER: Final = HTTPBearer(auto_error=False, description="HANDIGIT_TOKEN, or a token from POST /v1/tokens")
_SESSION: Final = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /v1/session")
_SIGN_INS_PER_MINUTE: Final = 12


class UnprotectedServer(HandigitError):
    """A server that others can reach and that requires no sign-in."""


class Access:
    """Identifies users. `accounts` is None without a store."""

    def __init__(self, settings: Settings, accounts: Accounts | None) -> None:
        self.accounts = accounts
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        self._local_only = is_loopback(settings.host) and not settings.proxies and not settings.hosts
        self._sign_ins = TokenBucket(_SIGN_INS_PER_MINUTE, burst=_SIGN_INS_PER_MINUTE)
        self.refresh()

    def refresh(self) -> None:
        """Look for accounts again: with the first one, everyone must sign in."""
        has_accounts = bool(self.accounts and (self.accounts.users() or self.accounts.tokens()))
        self.is_open = self._local_only and self._token is None and not has_accounts
        self._has_keys = has_accounts or self._token is not None

    def check_bind(self, host: str) -> None:
        """Refuse to start unprotected.

        Raises:
            UnprotectedServer: others can reach this address, and there is neither a token nor an account.
        """
        if not self._local_only and not self._has_keys:
            raise UnprotectedServer(
                f"others could reach {host}, directly or through a proxy, without signing in; set HANDIGIT_TOKEN to a "
                "secret of 16 characters or more, or listen on 127.0.0.1 and add an account first"
            )

    def check_first(self, role: Role) -> None:
        """Prevent a lock-out: the first account or token must be an admin's.

        Raises:
            Problem: it is not.
        """
        if self.is_open and role is not Role.ADMIN:
            raise Problem(INVALID, f"role = {role}: the first account or token must be an admin's; add that first")

    async def identify(self, request: Request) -> User | None:
        """The authenticated user, or None."""
        if self.is_open:
            return _LOCAL_USER
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._token_user(secret.strip())
        cookie = request.cookies.get(COOKIE)
        if cookie and self.accounts:
            return await asyncio.to_thread(self.accounts.session, cookie)
        return None

    async def require(self, request: Request, role: Role) -> User:
        """The authenticated user, who has `role` or one that includes it.

        Raises:
            Problem: not authenticated, or the role is not enough.
        """
        user = await self.identify(request)
        if user is None:
            raise Problem(
                UNAUTHORISED,
                "send a token as 'Authorization: Bearer ...', or sign in at POST /v1/session",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not user.role.may(role):
            raise Problem(FORBIDDEN, f"{user.name} is a {user.role}, this needs a {role}; ask an admin")
        return user

    def check_sign_in_rate(self, address: str) -> None:
        """Slow down password guessing.

        Raises:
            Problem: too many attempts from this address.
        """
        if wait_s := self._sign_ins.take(address):
            raise too_many("too many attempts to sign in", wait_s)

    async def _token_user(self, secret: str) -> User | None:
        if self._token and hmac.compare_digest(secret.encode(), self._token):
            return User("token", Role.ADMIN)
        return await asyncio.to_thread(self.accounts.token, secret) if self.accounts else None


class RequireRole:
    """A dependency: the user must have this role, or one that includes it."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def __call__(
        self, request: Request, _bearer: Annotated[Any, Depends(_BEARER)], _cookie: Annotated[Any, Depends(_SESSION)]
    ) -> User:
        """The user; raises as `Access.require`."""
        access: Access = request.app.state.handigit.access  # `state.py` imports this module
        return await access.require(request, self._role)


AsReader = Annotated[User, Depends(RequireRole(Role.READER))]
AsReviewer = Annotated[User, Depends(RequireRole(Role.REVIEWER))]
AsAdmin = Annotated[User, Depends(RequireRole(Role.ADMIN))]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """The host names that requests may use; None for any, where everyone must sign in."""
    names = frozenset(name.strip().lower() for name in settings.hosts.split(",") if name.strip())
    return names | LOCAL_NAMES if names or is_loopback(settings.host) else None
