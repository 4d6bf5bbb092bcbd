"""The package without what only POSIX has, as on Windows: nothing is used without a guard, and the app works."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from handigit.atomic import when_closed
from handigit.workers.process import skip_launcher
from serving import picture, running

BLOCKER = """
import os
import signal
import sys

BLOCKED = {"fcntl", "resource", "pwd", "grp", "termios"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ModuleNotFoundError(f"no module named {name!r}", name=name)

for name in BLOCKED & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Blocker())
for name in ("nice", "fork", "killpg", "sched_getaffinity", "fchmod"):
    delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGSTOP", "SIGALRM", "SIGQUIT"):
    delattr(signal, name)
"""

PROGRAM = (
    BLOCKER
    + """
from pathlib import Path

import handigit.cli, handigit.cli.store, handigit.client, handigit.web.server, handigit.workers.pool
import handigit.workers.worker, handigit.store.backup
from handigit.records import Number, Outcome
from handigit.store import Provenance, Store, Truth

home = Path(sys.argv[1])
with Store.open(f"sqlite:///{home / 'a.db'}", files=home / "pictures") as store:
    (reading,) = store.add([Number(Outcome.DOUBT, "15", 0.5, raw="15")], Provenance("s", "m", "d"))
    store.decide(reading, Truth("1.5"), by="ann", key="k")
    handigit.store.backup.backup(store, home / "backup")
    print(store.reading(reading).raw)
"""
)


def test_the_app_works_without_posix_modules(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr  # filelock warns that Linux without fcntl has only its soft lock
    assert done.stdout == "1.5\n"


READ = (
    BLOCKER
    + """
from handigit.cli import main
sys.argv = ["handigit", "read", *sys.argv[1:], "--format", "csv"]
main()
"""
)


def test_the_command_line_works_without_posix_modules(tmp_path: Path) -> None:
    (tmp_path / "seven.png").write_bytes(picture())
    (tmp_path / "page.pdf").write_bytes(picture(format="PDF", size=200))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "seven.png" in done.stdout
    assert "page.pdf" in done.stdout


REGISTRY = """
import mimetypes
for suffix in (".js", ".mjs", ".css", ".svg"):
    mimetypes.add_type("text/plain", suffix)  # as some programs write it into the registry of Windows
"""


def test_the_server_works_without_posix_modules(tmp_path: Path) -> None:
    with running(tmp_path, code=BLOCKER + REGISTRY) as server, server.client() as client:
        assert client.get("/static/pad.js").headers["Content-Type"].startswith("text/javascript")
        assert client.get("/static/handigit/ort/ort.wasm.min.mjs").headers["Content-Type"].startswith("text/javascript")
        assert client.get("/static/app.css").headers["Content-Type"].startswith("text/css")
        assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"
        assert client.post("/v1/read", content=picture(format="PDF", size=200)).status_code == 200
        assert client.get("/readyz").status_code == 200
        assert len(client.get("/v1/readings").json()["readings"]) >= 1


def test_a_worker_is_started_past_the_launcher_of_a_virtual_environment() -> None:
    program = (sys.executable, "-m", "handigit.workers.worker")
    assert skip_launcher(program, is_windows=False) == (program, None)
    command, environment = skip_launcher(program, is_windows=True)
    if sys._base_executable == sys.executable:
        pytest.skip("not in a virtual environment")
    assert command == (sys._base_executable, *program[1:])
    assert environment
    assert environment["__PYVENV_LAUNCHER__"] == sys.executable
    other = ("other.exe", "-m", "worker")
    assert skip_launcher(other, is_windows=True) == (other, None)


class SharingViolation(PermissionError):
    """As Windows raises it while another program has a file open."""

    winerror = 32


def test_a_file_that_is_open_elsewhere_is_replaced_once_it_is_closed() -> None:
    tries: list[int] = []

    def move() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise SharingViolation

    when_closed(move)
    assert len(tries) == 3


def test_a_file_that_stays_open_elsewhere_is_an_error() -> None:
    def move() -> None:
        raise SharingViolation

    with pytest.raises(SharingViolation):
        when_closed(move)


def test_other_errors_are_not_tried_again() -> None:
    tries: list[int] = []

    def move() -> None:
        tries.append(1)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        when_closed(move)
    assert tries == [1]


def test_the_package_uses_nothing_of_posix_without_a_guard() -> None:
    project = Path(__file__).parents[1]
    spec = importlib.util.spec_from_file_location("portability", project / "scripts" / "check_portability.py")
    assert spec
    assert spec.loader
    portability = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(portability)
    assert portability.main() == 0
    for source in ("import fcntl", "os.nice(1)", "signal.SIGKILL", "day.strftime('%-d')", "open('/tmp/x')"):
        assert list(portability.problems_in(source)), source
    guarded = "try:\n    import fcntl\nexcept ImportError:\n    pass\nif hasattr(os, 'nice'):\n    os.nice(1)"
    assert not list(portability.problems_in(guarded))
