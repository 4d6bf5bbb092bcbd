"""Users, sessions and tokens: who may sign in, and what a stolen database reveals."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from handigit.store import (
    Accounts,
    LastAdmin,
    NameTaken,
    NotInStore,
    Role,
    Store,
    StoreError,
    TooManyAttempts,
    User,
)
from handigit.store import accounts as accounts_module
from handigit.store.tables import sessions, tokens, users

pytest_plugins = ("store_server",)
PASSWORD = "correct horse"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def secret_of(store: Store, name: str = "ann") -> str:
    secret = store.accounts.sign_in(name, PASSWORD)
    assert secret
    return secret


def test_a_user_signs_in_with_their_password_only(store: Store) -> None:
    accounts = store.accounts
    assert accounts.add_user("ann", PASSWORD, Role.REVIEWER) == User("ann", Role.REVIEWER)
    assert accounts.session(secret_of(store)) == User("ann", Role.REVIEWER)
    for name, password in (("ann", "wrong horse"), ("bob", PASSWORD), ("ann", ""), ("", ""), ("a\0", "\ud800")):
        assert accounts.sign_in(name, password) is None
    assert accounts.session("guess") is None


def test_a_session_ends_by_time_by_sign_out_and_with_the_password(store: Store) -> None:
    accounts = store.accounts
    accounts.add_user("ann", PASSWORD, Role.READER)
    over = accounts.sign_in("ann", PASSWORD, life=timedelta(0))
    assert over
    assert accounts.session(over) is None
    first, second = secret_of(store), secret_of(store)
    accounts.sign_out(first)
    accounts.sign_out("unknown")
    assert accounts.session(first) is None
    assert accounts.session(second)
    accounts.set_role("ann", Role.ADMIN)
    assert accounts.session(second) == User("ann", Role.ADMIN)
    accounts.set_password("ann", "battery staple")
    assert accounts.session(second) is None
    assert accounts.sign_in("ann", PASSWORD) is None
    assert accounts.sign_in("ann", "battery staple")


def test_a_removed_user_is_locked_out_and_the_name_stays_theirs(store: Store) -> None:
    accounts = store.accounts
    accounts.add_user("ann", PASSWORD, Role.READER)
    accounts.add_user("bob", PASSWORD, Role.ADMIN)
    session = secret_of(store)
    accounts.remove_user("ann")
    assert accounts.session(session) is None
    assert accounts.sign_in("ann", PASSWORD) is None
    assert [user.name for user in accounts.users()] == ["bob"]
    with pytest.raises(NameTaken, match="'ann'"):
        accounts.add_user("ann", PASSWORD, Role.ADMIN)
    for change in (lambda: accounts.remove_user("ann"), lambda: accounts.set_role("cem", Role.ADMIN)):
        with pytest.raises(NotInStore, match="no user"):
            change()


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), (" ", PASSWORD), ("ann", "short"), ("ann", "x" * 1025)])
def test_a_user_needs_a_name_and_a_password(store: Store, name: str, password: str) -> None:
    with pytest.raises(StoreError, match=r"needs a name|8 to 1024"):
        store.accounts.add_user(name, password, Role.READER)


def test_a_token_is_valid_until_it_expires_or_is_revoked(store: Store) -> None:
    accounts = store.accounts
    till, over = accounts.add_token("till", Role.READER), accounts.add_token("old", Role.ADMIN, life=timedelta(0))
    assert accounts.token(till) == User("till", Role.READER)
    assert accounts.token(over) is None
    assert accounts.token("guess") is None
    listed = accounts.tokens()
    assert [(token.name, token.role) for token in listed] == [("till", Role.READER), ("old", Role.ADMIN)]
    accounts.revoke(listed[0].id)
    assert accounts.token(till) is None
    assert accounts.tokens()[0].revoked_at
    with pytest.raises(NotInStore, match="no token 99"):
        accounts.revoke(99)


def test_the_database_holds_no_secret(store: Store) -> None:
    store.accounts.add_user("ann", PASSWORD, Role.READER)
    secrets = (PASSWORD, secret_of(store), store.accounts.add_token("till", Role.READER))
    with store.database.reading() as connection:
        rows = [str(row) for table in (users, sessions, tokens) for row in connection.execute(select(table))]
    assert len(rows) == 3
    assert "$argon2id$" in rows[0]
    assert not any(secret in row for secret in secrets for row in rows)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_includes_the_one_before(role: Role) -> None:
    ranks = list(Role)
    assert [role.may(needed) for needed in ranks] == [ranks.index(role) >= i for i in range(len(ranks))]


def test_guessing_one_account_is_slowed_down_from_everywhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "datetime", Clock())
    accounts = Accounts(store.database, hasher=QUICK)
    accounts.add_user("ann", PASSWORD, Role.READER)
    session = accounts.sign_in("ann", PASSWORD)
    pauses = []
    for name in ("ann", "ghost"):  # a name without an account must look the same
        for _ in range(5):
            assert accounts.sign_in(name, "wrong horse") is None
        with pytest.raises(TooManyAttempts, match="try again in 1 s") as refused:
            accounts.sign_in(name, PASSWORD)
        pauses.append(refused.value.retry_after_s)
    assert pauses == [1, 1]
    assert accounts.sign_in("ann", PASSWORD, known_session=session)  # the owner is not locked out
    assert accounts.sign_in("ann", "wrong horse") is None  # and a success ends the pause


def test_pauses_grow_and_are_shared_by_servers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(accounts_module, "datetime", clock)
    servers = [Accounts(store.database, hasher=QUICK) for _ in "ab"]
    waits = []
    for attempt in range(16):
        try:
            servers[attempt % 2].sign_in("ann", "guess")
        except TooManyAttempts as refused:
            waits.append(refused.retry_after_s)
            clock.time += timedelta(seconds=refused.retry_after_s)
            servers[attempt % 2].sign_in("ann", "guess")
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == 300
    clock.time += timedelta(hours=1)
    assert servers[0].sign_in("ann", "guess") is None


class Clock:
    """Stands for `datetime`; time passes only when a test moves it."""

    time = datetime(2026, 11, 28, tzinfo=UTC)

    def now(self, _zone: object) -> datetime:
        """The time."""
        return self.time


def test_the_last_admin_stays(store: Store) -> None:
    accounts = store.accounts
    accounts.add_user("ann", PASSWORD, Role.ADMIN)
    accounts.add_user("bob", PASSWORD, Role.REVIEWER)
    for change in (lambda: accounts.remove_user("ann"), lambda: accounts.set_role("ann", Role.READER)):
        with pytest.raises(LastAdmin, match="ann is the only admin"):
            change()
    accounts.set_role("bob", Role.ADMIN)
    accounts.remove_user("ann")
    with pytest.raises(LastAdmin):
        accounts.remove_user("bob")


def test_a_token_and_a_user_never_share_a_name(store: Store) -> None:
    accounts = store.accounts
    accounts.add_user("Ann", PASSWORD, Role.ADMIN)
    accounts.add_token("till", Role.READER)
    accounts.add_token("till", Role.READER)  # two of one program are fine
    for name in ("ann", "local", "token"):
        with pytest.raises(NameTaken):
            accounts.add_token(name, Role.READER)
    for name in ("Till", "local", "token"):
        with pytest.raises(NameTaken):
            accounts.add_user(name, PASSWORD, Role.READER)


def test_a_store_is_empty_until_someone_may_come_in(store: Store) -> None:
    assert store.accounts.is_empty()
    store.accounts.add_token("till", Role.ADMIN)
    assert not store.accounts.is_empty()
    store.accounts.revoke(store.accounts.tokens()[0].id)
    assert not store.accounts.is_empty()  # revoking the last token must not open the server
