"""Fixtures for pages that need sign-in: a server with its own store, and windows with a session.

A test file defines the fixture `sessions`, which says who has an account.
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
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's state folder."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server_store(server_folder: Path) -> Iterator[Store]:
    """The server's store, opened in this process."""
    with Store.open(
        f"sqlite:///{server_folder / 'handigit.db'}", files=server_folder / "pictures", policy=NO_SAMPLES
    ) as store:
        yield store


@pytest.fixture(scope="module")
def server(server_folder: Path, sessions: Mapping[Any, str]) -> Iterator[Running]:  # noqa: ARG001 - accounts are created first
    """The server, which requires sign-in."""
    with running(server_folder) as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser, server: Running) -> Iterator[Open]:
    """Open an address in a new window, with or without a session; script errors fail the test."""
    contexts: list[BrowserContext] = []
    problems: list[list[str]] = []

    def open_address(address: str, session: str | None, **options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        if session is not None:
            contexts[-1].add_cookies([{"name": COOKIE, "value": session, "url": server.url}])
        tab = contexts[-1].new_page()
        problems.append(watched(tab))
        tab.goto(server.url + address)
        return tab

    yield open_address
    for context in contexts:
        context.close()
    errors = [problem for tab in problems for problem in tab if "Failed to load resource" not in problem]
    assert not errors


def emptied(store: Store) -> Store:
    """The store without the readings of earlier tests."""
    store.delete([reading.id for reading in store.all()])
    return store
