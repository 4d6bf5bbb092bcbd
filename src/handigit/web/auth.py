"""Authentication and roles.

Everyone may do everything while the server listens on loopback only and has neither a token nor accounts. Otherwise a
bearer token or a session cookie identifies the user. Secrets are compared in the store, or in constant time.
"""

import asyncio
import hmac
import ipaddress
import logging
import time
from typing import Final

from starlette.requests import Request

from handigit.errors import HandigitError
from handigit.settings import Settings
from handigit.store import Accounts, Role, StoreError, User
from handigit.web.middleware import LOCAL_NAMES
from handigit.web.problems import FORBIDDEN, INVALID, UNAUTHORISED, Problem
from handigit.web.rate_limits import TokenBucket, network_of, too_many

log = logging.getLogger(__name__)

COOKIE: Final = "handigit_session"
_LOCAL_USER: Final = User("local", Role.ADMIN)
_SIGN_INS_PER_MINUTE: Final = 30
"""Per address; the store also slows down attempts per account, from any address."""
REFRESH_S: Final = 1.0
"""How soon a server notices the first account that another process has added."""


class UnprotectedServer(HandigitError):
    """A server that others can reach and that requires no sign-in."""


class Access:
    """Identifies users. `accounts` is None without a store."""

    def __init__(self, settings: Settings, accounts: Accounts | None) -> None:
        self.accounts = accounts
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        self._local_only = is_loopback(settings.host) and not settings.proxies and not settings.hosts
        self._sign_ins = TokenBucket(_SIGN_INS_PER_MINUTE, burst=_SIGN_INS_PER_MINUTE)
        self._has_accounts = False
        self._refreshed_at = -REFRESH_S
        self.refresh()

    @property
    def is_open(self) -> bool:
        """Whether no one needs to sign in."""
        return self._local_only and self._token is None and not self._has_accounts

    def refresh(self) -> None:
        """Look for accounts again: with the first one, everyone must sign in."""
        self._has_accounts = bool(self.accounts and not self.accounts.is_empty())
        self._refreshed_at = time.monotonic()

    def check_bind(self, host: str) -> None:
        """Refuse to start unprotected.

        Raises:
            UnprotectedServer: others can reach this address, and there is neither a token nor an account.
        """
        if not self._local_only and self._token is None and not self._has_accounts:
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
        """The authenticated user, or None; looked up once per request."""
        if not hasattr(request.state, "user"):
            request.state.user = await self._look_up(request)
        user: User | None = request.state.user
        return user

    async def _look_up(self, request: Request) -> User | None:
        await self._refresh_if_stale()
        if self.is_open:
            return _LOCAL_USER
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._token_user(secret.strip())
        cookie = request.cookies.get(COOKIE)
        if cookie and self.accounts:
            return await asyncio.to_thread(self.accounts.session, cookie)
        return None

    async def _refresh_if_stale(self) -> None:
        """Another process on the same store may have added the first account."""
        if self.is_open and self.accounts and time.monotonic() - self._refreshed_at > REFRESH_S:
            self._refreshed_at = time.monotonic()  # one request asks, the others continue
            try:
                await asyncio.to_thread(self.refresh)
            except StoreError as problem:  # a route that needs the store raises it again
                log.warning("accounts not refreshed", extra={"problem": type(problem).__name__})

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
        if wait_s := self._sign_ins.take(network_of(address)):
            raise too_many("too many attempts to sign in", wait_s)

    async def _token_user(self, secret: str) -> User | None:
        if self._token and hmac.compare_digest(secret.encode(), self._token):
            return User("token", Role.ADMIN)
        return await asyncio.to_thread(self.accounts.token, secret) if self.accounts else None


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
