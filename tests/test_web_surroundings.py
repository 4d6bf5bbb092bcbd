"""The whole server where its surroundings fail: a full or read-only disk, few descriptors, a second server."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving import Running, picture, running

pytestmark = pytest.mark.slow


@contextmanager
def mounted(folder: Path, *, size: str) -> Iterator[None]:
    """A small disk of its own at a folder; skips the test where mounting is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk needs Linux and root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def post(client: httpx.Client, name: str, *, size: int = 28) -> httpx.Response:
    return client.post("/v1/digit", files={"file": (name, picture(size=size), "image/png")})


def stored(client: httpx.Client) -> dict[int, str]:
    """Source of each stored reading by its id."""
    readings, after = {}, None
    while True:
        page = client.get("/v1/readings", params={"limit": 1000} | ({"after": after} if after else {})).json()
        readings |= {reading["id"]: reading["source"] for reading in page["readings"]}
        if (after := page["after"]) is None:
            return readings


def fill_disk(folder: Path, client: httpx.Client) -> dict[int, str]:
    """Store digits until the disk is full; those that were acknowledged."""
    acknowledged = {}
    (folder / "other.bin").write_bytes(b"x" * 2**21)
    for number in range(5000):
        answer = post(client, f"{number}.png", size=40 + number)
        if answer.status_code != 200:
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            return acknowledged
        acknowledged[answer.json()["readings"][0]["id"]] = f"{number}.png"
    raise AssertionError("the disk never became full")


def test_a_full_disk_loses_nothing_and_deleting_makes_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with mounted(home, size="8m"), running(home) as server, server.client() as client:
        acknowledged = fill_disk(home, client)
        assert len(acknowledged) > 5
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503  # a disk of 8 MB never has enough room
        assert stored(client) == acknowledged
        oldest = sorted(acknowledged)[:3]
        digests = [client.get(f"/v1/readings/{number}").json()["picture"] for number in oldest]
        deleted = client.delete("/v1/readings", params={"number": oldest})
        assert (deleted.status_code, deleted.json()["readings"]) == (200, 3)
        (home / "other.bin").unlink()
        assert not [digest for digest in digests if (home / "pictures" / digest[:2] / f"{digest[2:]}.png").exists()]
        assert post(client, "after.png").status_code == 200
        assert set(stored(client).values()) == {acknowledged[i] for i in acknowledged if i not in oldest} | {
            "after.png"
        }


def test_a_read_only_home_is_named_at_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with mounted(home, size="8m"):
        remount(home, "ro")
        started = subprocess.run(
            ["handigit", "serve", "--port", "0"],
            env={"HANDIGIT_STATE": str(home), "PATH": path_of_environment(), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert started.returncode not in (0, -9)
    assert "Traceback" not in started.stderr
    assert str(home) in started.stderr + started.stdout


def path_of_environment() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_with_few_descriptors_connections_wait_and_the_server_goes_on(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    with running(tmp_path, code=limit) as server:
        held = [httpx.Client(base_url=server.url, timeout=10) for _ in range(100)]
        try:
            for client in held:
                ask(client)
        finally:
            for client in held:
                client.close()
        with server.client() as client:
            assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"


def ask(client: httpx.Client) -> None:
    """One request whose failure is expected."""
    try:
        assert client.get("/healthz").status_code in (200, 503)
    except httpx.TransportError:
        return


def store_many(server: Running, name: str, acknowledged: dict[int, str]) -> None:
    with server.client() as client:
        for number in range(25):
            answer = post(client, f"{name}-{number}.png")
            assert answer.status_code == 200
            acknowledged[answer.json()["readings"][0]["id"]] = f"{name}-{number}.png"


def test_two_servers_on_one_home(tmp_path: Path) -> None:
    with running(tmp_path) as one, running(tmp_path) as other:
        acknowledged: dict[int, str] = {}
        writers = [
            threading.Thread(target=store_many, args=(server, f"{n}", acknowledged))
            for n, server in enumerate((one, other, one, other))
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(acknowledged) == 100
        with one.client() as first, other.client() as second:
            assert stored(first) == stored(second) == acknowledged
            number = next(iter(acknowledged))
            assert first.post(f"/v1/readings/{number}/corrections", json={"text": "8"}).status_code == 201
            assert second.get(f"/v1/readings/{number}").json()["truth"]["text"] == "8"
            assert second.delete("/v1/readings", params={"number": [number]}).json()["readings"] == 1
            assert first.get(f"/v1/readings/{number}").status_code == 404
