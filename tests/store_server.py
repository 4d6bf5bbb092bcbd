"""A store in either database: an SQLite file, or a PostgreSQL server of our own.

The server's files are in a folder made for it; it listens on a free port, and is gone afterwards.
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
def server() -> Iterator[str]:
    """A running PostgreSQL."""
    if not INSTALLED:
        pytest.skip(MISSING)
    with postgres(Path(tempfile.mkdtemp(prefix="handigit-"))) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """What makes empty databases of each kind, and gives their URLs."""

    def make() -> str:
        name = f"t{uuid.uuid4().hex}"
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        return create_schema(request.getfixturevalue("server"), name)

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
    """A running server's URL, up to the name of a database; it needs a folder that other users may enter.

    It trusts whoever comes from this machine, which is why it listens on the loopback alone.
    """
    programs, data = INSTALLED[-1].parent, folder / "data"
    user = _unprivileged(folder)
    as_user = ["runuser", "-u", user, "--"] if user else []
    _run([*as_user, str(programs / "initdb"), "-D", str(data), "-U", "handigit", "--auth=trust", "--no-sync"], folder)
    port = free_port()
    # Nothing here outlives the server, so it need not wait for the disk.
    settings = f"-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data)]
    _run([*control, "-w", "-l", str(folder / "log"), "-o", settings, "start"], folder)
    try:
        yield f"postgresql://handigit@127.0.0.1:{port}"
    finally:
        _run([*control, "-m", "immediate", "stop"], folder)
        shutil.rmtree(folder, ignore_errors=True)


def create_schema(server: str, name: str) -> str:
    """A new, empty schema, which for the store is a database of its own and made in no time; its URL."""
    import psycopg.sql

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(name)))
    return f"{server}/postgres?options=-csearch_path%3D{name}"


def _unprivileged(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it, who gets the folder."""
    if os.getuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_name


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], folder: Path) -> None:
    # What the server inherits it keeps open: a pipe here would never end.
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
