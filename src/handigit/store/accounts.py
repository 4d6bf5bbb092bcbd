"""Users with passwords, their sessions, and API tokens.

Passwords are stored as argon2id hashes, session and token secrets (256 random bits) as SHA-256. Failed sign-ins are
counted per account in the database, so that several servers share the count and many addresses do not help a guesser.
"""

import hashlib
import math
import secrets
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, or_, select, update

from handigit.store.column_types import CLOCK_SKEW
from handigit.store.database import Database
from handigit.store.errors import LastAdmin, NameTaken, NotInStore, StoreError, TooManyAttempts
from handigit.store.roles import Role, Token, User
from handigit.store.tables import failed_sign_ins, sessions, tokens, users

SESSION_LIFE: Final = timedelta(hours=12)
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 1024
"""Length in characters; argon2 would accept more, but hashing it would take longer."""
RESERVED_NAMES: Final = frozenset({"local", "token"})
"""Names that the server itself signs with: the user of an open server, and HANDIGIT_TOKEN."""
_FREE_ATTEMPTS: Final = 5
"""Failed sign-ins to one account before the first pause; then it doubles from one second."""
_MAX_PAUSE: Final = timedelta(minutes=5)
"""Long enough to stop guessing (12 an hour), short enough that an attacker cannot lock the owner out for long."""
_FORGET_FAILURES: Final = timedelta(hours=1)


class Accounts:
    """Users, sessions and tokens of one store; every change is on disk when its method returns.

    `hasher`: how passwords are hashed; argon2-cffi's defaults are those of RFC 9106.
    """

    def __init__(self, database: Database, *, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._hasher = hasher or PasswordHasher()

    def is_empty(self) -> bool:
        """Whether there are neither users nor tokens, not even revoked ones; cheap enough to ask every second."""
        user = exists().where(users.c.removed_at.is_(None))
        with self._database.reading() as connection:
            return not connection.scalar(select(or_(user, exists(select(tokens.c.id)))))

    def add_user(self, name: str, password: str, role: Role) -> User:
        """Add a user.

        Raises:
            NameTaken: a user or token has or had that name, which signs corrections; or it is reserved.
            StoreError: an empty name, or a password of fewer than 8 characters.
        """
        if not name.strip():
            raise StoreError("a user needs a name; corrections are signed with it")
        password_hash = self._hash(password)
        with self._database.writing() as connection:
            _require_free_name(connection, name)
            connection.execute(insert(users).values(name=name, password=password_hash, role=role, at=_now()))
        return User(name, role)

    def users(self) -> tuple[User, ...]:
        """All current users by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(users).where(users.c.removed_at.is_(None)).order_by(users.c.name))
            return tuple(User(row.name, Role(row.role)) for row in rows)

    def set_password(self, name: str, password: str) -> None:
        """Change a password and end all sessions of that user.

        Raises:
            NotInStore: no such user.
            StoreError: a password of fewer than 8 characters.
        """
        password_hash = self._hash(password)
        with self._database.writing() as connection:
            _end_sessions(connection, _change(connection, name, password=password_hash))
            _clear_failures(connection, name)

    def set_role(self, name: str, role: Role) -> None:
        """Change a role, also for open sessions.

        Raises:
            NotInStore: no such user.
            LastAdmin: no admin would remain.
        """
        with self._database.writing() as connection:
            if role is not Role.ADMIN:
                _require_other_admin(connection, name)
            _change(connection, name, role=role)

    def remove_user(self, name: str) -> None:
        """End a user's sessions and refuse their password; their corrections stay.

        Raises:
            NotInStore: no such user.
            LastAdmin: no admin would remain.
        """
        with self._database.writing() as connection:
            _require_other_admin(connection, name)
            _end_sessions(connection, _change(connection, name, removed_at=_now()))

    def sign_in(
        self, name: str, password: str, *, life: timedelta = SESSION_LIFE, known_session: str | None = None
    ) -> str | None:
        """A new session's secret, or None if name and password do not match; both take the same time.

        `known_session`: a session's secret sent with the request. Its owner is never made to wait, so that
        someone who guesses cannot lock them out.

        Raises:
            TooManyAttempts: too many failures for this name, whether it exists or not.
        """
        owner = self.session(known_session) if known_session else None
        if owner is None or owner.name != name:
            with self._database.writing() as connection:
                _count_attempt(connection, name, _now())
        with self._database.reading() as connection:
            row = connection.execute(_select_user(name)).one_or_none()
        if not self._matches(row, password[:MAX_PASSWORD]) or row is None:
            return None
        secret, now = secrets.token_urlsafe(32), _now()
        with self._database.writing() as connection:
            # Checked again: the password may have been changed during the comparison.
            if connection.scalar(select(users.c.password).where(users.c.id == row.id)) != row.password:
                return None
            _clear_failures(connection, name)
            values = {"secret": _digest(secret), "user": row.id, "at": now, "until": now + life}
            connection.execute(insert(sessions).values(**values))
        return secret

    def session(self, secret: str) -> User | None:
        """The user of a session; None if it is unknown or has ended."""
        query = (
            select(users.c.name, users.c.role)
            .join(sessions, sessions.c.user == users.c.id)
            .where(sessions.c.secret == _digest(secret), ~_has_ended(_now()), users.c.removed_at.is_(None))
        )
        return self._get_user(query)

    def sign_out(self, secret: str) -> None:
        """End a session; an unknown one is no error."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.secret == _digest(secret)))

    def add_token(self, name: str, role: Role, *, life: timedelta | None = None) -> str:
        """A new API token's secret, shown only this once; without `life` it is valid until it is revoked.

        Raises:
            NameTaken: a user has or had that name, so the token would sign as them; or it is reserved.
        """
        secret, now = secrets.token_urlsafe(32), _now()
        until = None if life is None else now + life
        values = {"name": name, "secret": _digest(secret), "role": role, "at": now, "until": until}
        with self._database.writing() as connection:
            _require_free_name(connection, name, other_tokens=False)
            connection.execute(insert(tokens).values(**values))
        return secret

    def token(self, secret: str) -> User | None:
        """The holder of a token under the token's name; None if it is unknown, revoked or expired."""
        in_force = or_(tokens.c.until.is_(None), tokens.c.until > _now())
        query = select(tokens.c.name, tokens.c.role).where(
            tokens.c.secret == _digest(secret), tokens.c.revoked_at.is_(None), in_force
        )
        return self._get_user(query)

    def tokens(self) -> tuple[Token, ...]:
        """All tokens, including revoked ones, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.id))
            return tuple(Token(r.id, r.name, Role(r.role), r.at, r.until, r.revoked_at) for r in rows)

    def revoke(self, token: int) -> None:
        """Make a token invalid from now on.

        Raises:
            NotInStore: no such token.
        """
        change = update(tokens).where(tokens.c.id == token).values(revoked_at=_now())
        with self._database.writing() as connection:
            if connection.execute(change).rowcount == 0:
                raise NotInStore(f"no token {token}; list the tokens with their numbers")

    def _get_user(self, query: Any) -> User | None:
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else User(row.name, Role(row.role))

    def _hash(self, password: str) -> str:
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise StoreError(
                f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, not {len(password)}; choose another one"
            )
        return self._hasher.hash(_encode(password))

    @cached_property
    def _dummy_hash(self) -> str:
        """A hash that no password matches, compared where there is no such user."""
        return self._hasher.hash(secrets.token_urlsafe(32))

    def _matches(self, row: Any, password: str) -> bool:
        dummy = self._dummy_hash  # made at the first sign-in in any case, so that its time does not reveal who exists
        try:
            return self._hasher.verify(row.password if row else dummy, _encode(password))
        except VerifyMismatchError:
            return False


def drop_expired(connection: Connection) -> None:
    """Delete ended sessions and old failed sign-ins."""
    now = _now()
    connection.execute(delete(sessions).where(_has_ended(now)))
    connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.at <= now - _FORGET_FAILURES))


def _has_ended(now: datetime) -> ColumnElement[bool]:
    """A session is over, or was begun by a clock that was wrong."""
    return or_(sessions.c.until <= now, sessions.c.at > now + CLOCK_SKEW)


def _count_attempt(connection: Connection, name: str, now: datetime) -> None:
    """Count a sign-in as failed before its password is compared, so that many at the same time are counted too.

    Raises:
        TooManyAttempts: the pause after earlier failures is not over.
    """
    digest = _digest(name)
    row = connection.execute(
        select(failed_sign_ins).where(failed_sign_ins.c.name_digest == digest, failed_sign_ins.c.at <= now)
    ).one_or_none()
    count = row.failures if row and row.at > now - _FORGET_FAILURES else 0
    if row and count >= _FREE_ATTEMPTS:
        pause = min(timedelta(seconds=2 ** min(count - _FREE_ATTEMPTS, 20)), _MAX_PAUSE)
        remaining_s = (row.at + pause - now).total_seconds()
        if remaining_s > 0:
            raise TooManyAttempts(
                f"too many failed sign-ins to this account; try again in {math.ceil(remaining_s)} s",
                retry_after_s=remaining_s,
            )
    connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.name_digest == digest))
    connection.execute(insert(failed_sign_ins).values(name_digest=digest, failures=count + 1, at=now))


def _clear_failures(connection: Connection, name: str) -> None:
    connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.name_digest == _digest(name)))


def _require_free_name(connection: Connection, name: str, *, other_tokens: bool = True) -> None:
    """Names of users and tokens sign corrections, so one must not pass for the other; case does not matter."""
    lower = name.lower()
    taken: ColumnElement[bool] = exists().where(func.lower(users.c.name) == lower)
    if other_tokens:
        taken = or_(taken, exists().where(func.lower(tokens.c.name) == lower))
    if lower in RESERVED_NAMES or connection.scalar(select(taken)):
        raise NameTaken(f"the name {name!r} is or was in use, or is reserved; choose another one")


def _require_other_admin(connection: Connection, name: str) -> None:
    present = users.c.removed_at.is_(None) & (users.c.role == Role.ADMIN)
    admins = connection.scalars(select(users.c.name).where(present)).all()
    if list(admins) == [name]:
        raise LastAdmin(f"{name} is the only admin; make someone else an admin first")


def _now() -> datetime:
    return datetime.now(UTC)


def _digest(secret: str) -> str:
    """SHA-256; enough for 256 random bits, which cannot be guessed."""
    return hashlib.sha256(_encode(secret)).hexdigest()


def _encode(text: str) -> bytes:
    """UTF-8 of any text that a form can send, including halves of surrogate pairs."""
    return text.encode("utf-8", "surrogatepass")


def _select_user(name: str) -> Any:
    return select(users).where(users.c.name == name, users.c.removed_at.is_(None))


def _change(connection: Connection, name: str, **values: Any) -> int:
    row = connection.execute(_select_user(name)).one_or_none()
    if row is None:
        raise NotInStore(f"no user {name!r}; list the users with their names")
    connection.execute(update(users).where(users.c.id == row.id).values(**values))
    return int(row.id)


def _end_sessions(connection: Connection, user: int) -> None:
    connection.execute(delete(sessions).where(sessions.c.user == user))
