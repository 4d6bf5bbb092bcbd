"""Users, sessions and tokens: who comes in, and what a stolen database would tell."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from handigit.store import NameTaken, NotInStore, Role, Store, StoreError, User
from handigit.store.tables import sessions, tokens, users

pytest_plugins = ("store_server",)
PASSWORD = "correct horse"


def secret_of(store: Store, name: str = "ann") -> str:
    secret = store.accounts.sign_in(name, PASSWORD)
    assert secret
    return secret


def test_a_user_comes_in_with_their_password_alone(store: Store) -> None:
    accounts = store.accounts
    assert accounts.add_user("ann", PASSWORD, Role.REVIEWER) == User("ann", Role.REVIEWER)
    assert accounts.session(secret_of(store)) == User("ann", Role.REVIEWER)
    for name, password in (("ann", "wrong horse"), ("bob", PASSWORD), ("ann", ""), ("", ""), ("a\0", "\ud800")):
        assert accounts.sign_in(name, password) is None
    assert accounts.session("guess") is None


def test_a_session_ends_by_time_by_hand_and_with_the_password(store: Store) -> None:
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


def test_a_removed_user_is_out_and_the_name_stays_theirs(store: Store) -> None:
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


def test_a_token_is_good_until_it_is_over_or_revoked(store: Store) -> None:
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
def test_each_role_may_what_the_one_before_may(role: Role) -> None:
    ranks = list(Role)
    assert [role.may(needed) for needed in ranks] == [ranks.index(role) >= i for i in range(len(ranks))]
