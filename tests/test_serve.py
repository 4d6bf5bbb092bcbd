"""`handigit serve` on the command line, and the API's documentation page."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, expect

from browsing import watched
from handigit.settings import Settings
from handigit.web import create_app
from handigit.web.server import PortInUse, listen, serve
from serving import HOST, NumberReader, running, settings

COMMAND = [sys.executable, "-m", "handigit.cli", "serve", "--port"]


def test_a_taken_port_is_an_error_that_offers_the_next() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"port {port} is in use .* add --port (\d+)") as refused:
            listen("127.0.0.1", port)
        offered = int(re.findall(r"--port (\d+)", str(refused.value))[0])
        listen("127.0.0.1", offered).close()


def test_a_taken_port_is_found_before_anything_is_stored(tmp_path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        own = Settings().model_copy(update={"state": tmp_path / "state", "port": taken.getsockname()[1]})
        with pytest.raises(PortInUse):
            serve(own)
    assert not (tmp_path / "state").exists()


def test_a_terminal_shows_what_it_is_where_it_is_and_how_to_stop(tmp_path) -> None:
    controller, terminal = pty.openpty()
    environment = os.environ | {"HANDIGIT_STATE": str(tmp_path), "HANDIGIT_WORKERS": "0", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COMMAND, "0"], env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = ""
    while "Ctrl+C" not in shown:
        shown += os.read(controller, 1000).decode()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    os.close(controller)
    assert re.search(r"Handigit [\d.]+ reads handwritten numbers", shown)
    assert re.search(r"App +http://127\.0\.0\.1:\d+", shown)
    assert "/docs" in shown
    assert str(tmp_path) in shown
    assert '"event"' not in shown


def test_the_api_is_described_for_people_without_a_network(tmp_path) -> None:
    with TestClient(create_app(settings(tmp_path), make_reader=NumberReader), base_url=HOST) as client:
        page = client.get("/docs")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert not address.startswith(("http", "//"))
            assert client.get(f"/{address}").status_code == 200
        assert "Apache License" in client.get("/docs/static/LICENSE").text


@pytest.mark.slow
def test_the_api_page_lists_the_routes_under_the_strict_policy(tmp_path, browser: Browser) -> None:
    with running(tmp_path, HANDIGIT_WORKERS="0") as server:
        page = browser.new_page()
        problems = watched(page)
        page.goto(f"{server.url}/docs")
        page.locator(".opblock-summary").nth(2).click()
        page.get_by_text("Try it out").first.wait_for()
        expect(page.locator(".opblock").nth(30)).to_be_visible()
        assert problems == []
        page.close()
