"""Who may come in: users with passwords, their sessions, and API tokens.

Passwords are kept as argon2id hashes, session and token secrets (256 random bits) as SHA-256. It does not know of
cookies, headers or rate limits.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, or_, select, update

from handigit.store.database import Database
from handigit.store.errors import NameTaken, NotInStore, StoreError
from handigit.store.tables import sessions, tokens, users

SESSION_LIFE = timedelta(hours=12)
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024


class Role(StrEnum):
    """What a person may do; each may all that the one before may."""

    READER = "reader"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Whether this role includes `needed`."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    """A person, or a program that came with a token; `name` is what corrections are signed with."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as it can be shown: its number, name, role and times, never the secret itself."""

    id: int
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Accounts:
    """Users, sessions and tokens of one store; every change is on disk when its verb returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasher = PasswordHasher()

    def add_user(self, name: str, password: str, role: Role) -> User:
        """A new user.

        Raises:
            NameTaken: there is or was one of that name; what they said stays signed with it.
            StoreError: an empty name, or a password of under 8 characters.
        """
        if not name.strip():
            raise StoreError("a user needs a name; corrections are signed with it")
        hashed = self._hash(password)
        with self._database.writing() as connection:
            if connection.scalar(select(exists().where(users.c.name == name))):
                raise NameTaken(f"there is or was a user {name!r} already; take another name")
            connection.execute(insert(users).values(name=name, password=hashed, role=role, at=_now()))
        return User(name, role)

    def users(self) -> tuple[User, ...]:
        """Everybody who may come in, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(users).where(users.c.removed_at.is_(None)).order_by(users.c.name))
            return tuple(User(row.name, Role(row.role)) for row in rows)

    def set_password(self, name: str, password: str) -> None:
        """Change a password; all sessions of that user end.

        Raises:
            NotInStore: no such user.
            StoreError: a password of under 8 characters.
        """
        hashed = self._hash(password)
        with self._database.writing() as connection:
            _end_sessions(connection, _change(connection, name, password=hashed))

    def set_role(self, name: str, role: Role) -> None:
        """Change a role, with effect on open sessions.

        Raises:
            NotInStore: no such user.
        """
        with self._database.writing() as connection:
            _change(connection, name, role=role)

    def remove_user(self, name: str) -> None:
        """End a user's sessions and refuse their password; what they have said stays.

        Raises:
            NotInStore: no such user.
        """
        with self._database.writing() as connection:
            _end_sessions(connection, _change(connection, name, removed_at=_now()))

    def sign_in(self, name: str, password: str, *, life: timedelta = SESSION_LIFE) -> str | None:
        """A new session's secret, or None if name and password do not fit; both cost the same time."""
        with self._database.reading() as connection:
            row = connection.execute(_present(name)).one_or_none()
        if not self._fits(row, password[:LONGEST_PASSWORD]) or row is None:
            return None
        secret, now = secrets.token_urlsafe(32), _now()
        with self._database.writing() as connection:
            # Asked anew: the password may have been changed while it was being compared.
            if connection.scalar(select(users.c.password).where(users.c.id == row.id)) != row.password:
                return None
            values = {"secret": _digest(secret), "user": row.id, "at": now, "until": now + life}
            connection.execute(insert(sessions).values(**values))
        return secret

    def session(self, secret: str) -> User | None:
        """Whose session this is; None if it is unknown or over."""
        query = (
            select(users.c.name, users.c.role)
            .join(sessions, sessions.c.user == users.c.id)
            .where(sessions.c.secret == _digest(secret), sessions.c.until > _now(), users.c.removed_at.is_(None))
        )
        return self._who(query)

    def sign_out(self, secret: str) -> None:
        """End a session; unknown ones are no error."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.secret == _digest(secret)))

    def add_token(self, name: str, role: Role, *, life: timedelta | None = None) -> str:
        """A new API token's secret, shown this once; None as `life`: until it is revoked."""
        secret, now = secrets.token_urlsafe(32), _now()
        until = None if life is None else now + life
        values = {"name": name, "secret": _digest(secret), "role": role, "at": now, "until": until}
        with self._database.writing() as connection:
            connection.execute(insert(tokens).values(**values))
        return secret

    def token(self, secret: str) -> User | None:
        """Who comes with this token (by the token's name); None if it is unknown, revoked or over."""
        in_force = or_(tokens.c.until.is_(None), tokens.c.until > _now())
        query = select(tokens.c.name, tokens.c.role).where(
            tokens.c.secret == _digest(secret), tokens.c.revoked_at.is_(None), in_force
        )
        return self._who(query)

    def tokens(self) -> tuple[Token, ...]:
        """All tokens, revoked ones too, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tokens).order_by(tokens.c.id))
            return tuple(Token(r.id, r.name, Role(r.role), r.at, r.until, r.revoked_at) for r in rows)

    def revoke(self, token: int) -> None:
        """Make a token worthless from now on.

        Raises:
            NotInStore: no such token.
        """
        change = update(tokens).where(tokens.c.id == token).values(revoked_at=_now())
        with self._database.writing() as connection:
            if connection.execute(change).rowcount == 0:
                raise NotInStore(f"no token {token}; list them with their numbers")

    def _who(self, query: Any) -> User | None:
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else User(row.name, Role(row.role))

    def _hash(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise StoreError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; this has not")
        return self._hasher.hash(_octets(password))

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password fits, to compare with where there is no user."""
        return self._hasher.hash(secrets.token_urlsafe(32))

    def _fits(self, row: Any, password: str) -> bool:
        nobody = self._nobody  # made at the first sign-in, whoever comes: its time must not say who is there
        try:
            return self._hasher.verify(row.password if row else nobody, _octets(password))
        except VerifyMismatchError:
            return False


def drop_old_sessions(connection: Connection) -> None:
    """Delete the sessions that are over."""
    connection.execute(delete(sessions).where(sessions.c.until <= _now()))


def _now() -> datetime:
    return datetime.now(UTC)


def _digest(secret: str) -> str:
    """What is kept of 256 random bits: to guess them from it is as hard as to guess them."""
    return hashlib.sha256(_octets(secret)).hexdigest()


def _octets(text: str) -> bytes:
    """UTF-8 of whatever a form may bring, halves of surrogate pairs too."""
    return text.encode("utf-8", "surrogatepass")


def _present(name: str) -> Any:
    return select(users).where(users.c.name == name, users.c.removed_at.is_(None))


def _change(connection: Connection, name: str, **values: Any) -> int:
    row = connection.execute(_present(name)).one_or_none()
    if row is None:
        raise NotInStore(f"no user {name!r}; list the users with their names")
    connection.execute(update(users).where(users.c.id == row.id).values(**values))
    return int(row.id)


def _end_sessions(connection: Connection, user: int) -> None:
    of_user: ColumnElement[bool] = sessions.c.user == user
    connection.execute(delete(sessions).where(of_user))
