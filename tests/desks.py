"""What tests of pages that need somebody signed in share: a server on a store of their own, and windows with a session.

Every test file has these fixtures; one that uses them says in its own fixture `sessions` who has an account.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from browsing import watched
from handigit.store import Store
from handigit.web.auth import COOKIE
from serving import Running, running
from store_cases import NO_SAMPLES

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's own."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def desk_store(desk_folder: Path) -> Iterator[Store]:
    """The server's store, from this process."""
    with Store.open(
        f"sqlite:///{desk_folder / 'handigit.db'}", files=desk_folder / "pictures", policy=NO_SAMPLES
    ) as store:
        yield store


@pytest.fixture(scope="module")
def desk(desk_folder: Path, sessions: Mapping[Any, str]) -> Iterator[Running]:  # noqa: ARG001 - the accounts come first
    """The server, which asks who it is that comes."""
    with running(desk_folder) as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser, desk: Running) -> Iterator[Open]:
    """What opens an address in a window of its own, with a session or without; errors on the page fail the test."""
    contexts: list[BrowserContext] = []
    problems: list[list[str]] = []

    def open_address(address: str, session: str | None, **how: Any) -> Page:
        contexts.append(browser.new_context(**how))
        if session is not None:
            contexts[-1].add_cookies([{"name": COOKIE, "value": session, "url": desk.url}])
        tab = contexts[-1].new_page()
        problems.append(watched(tab))
        tab.goto(desk.url + address)
        return tab

    yield open_address
    for context in contexts:
        context.close()
    grave = [one for several in problems for one in several if "Failed to load resource" not in one]
    assert not grave


def emptied(store: Store) -> Store:
    """The store without what earlier tests have left in it."""
    store.delete([one.id for one in store.all()])
    return store
