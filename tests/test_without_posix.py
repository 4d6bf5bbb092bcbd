"""The app without `fcntl` and `resource`, as on Windows: no module imports them, and everything works."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path

BLOCKED = {"fcntl", "resource", "pwd", "grp", "termios"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ModuleNotFoundError(f"no module named {name!r}", name=name)

for name in BLOCKED & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Blocker())

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


def test_the_app_works_without_posix_modules(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr  # filelock warns that Linux without fcntl has only its soft lock
    assert done.stdout == "1.5\n"
