"""Fixtures for a store in either database: an SQLite file, or a PostgreSQL server of our own.

The server has its own folder and a free port, and is removed afterwards.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handigit.store import Store
from store_cases import NO_SAMPLES

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
MISSING = "no PostgreSQL under /usr/lib/postgresql: apt-get install postgresql"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL."""
    if not INSTALLED:
        pytest.skip(MISSING)
    with postgres(Path(tempfile.mkdtemp(prefix="handigit-"))) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """A function that creates empty databases of each kind and returns their URLs."""

    def make() -> str:
        name = f"t{uuid.uuid4().hex}"
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        return create_schema(request.getfixturevalue("postgres_url"), name)

    return make


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """An empty database of each kind."""
    return new_url()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind, whose policy draws no samples."""
    with Store.open(url, files=tmp_path / "pictures", policy=NO_SAMPLES) as opened:
        yield opened


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A running server's URL without the name of a database; `folder` must be one that other users may enter.

    It trusts everyone on this machine, so it listens on loopback only.
    """
    programs, data = INSTALLED[-1].parent, folder / "data"
    user = _unprivileged(folder)
    as_user = ["runuser", "-u", user, "--"] if user else []
    _run([*as_user, str(programs / "initdb"), "-D", str(data), "-U", "handigit", "--auth=trust", "--no-sync"], folder)
    port = free_port()
    # No data outlive the server, so it need not sync them.
    settings = f"-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data)]
    _run([*control, "-w", "-l", str(folder / "log"), "-o", settings, "start"], folder)
    try:
        yield f"postgresql://handigit@127.0.0.1:{port}"
    finally:
        _run([*control, "-m", "immediate", "stop"], folder)
        shutil.rmtree(folder, ignore_errors=True)


def create_schema(server: str, name: str) -> str:
    """The URL of a new, empty schema: to the store a database of its own, but created much faster."""
    import psycopg.sql

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(name)))
    return f"{server}/postgres?options=-csearch_path%3D{name}"


def _unprivileged(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root; Debian's package creates a user for it, who gets the folder."""
    if os.getuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_name


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], folder: Path) -> None:
    # The server keeps inherited files open, so a pipe here would never end.
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
