"""PostgreSQL restarted, and its connections cut, below a server that stores digits: nothing lost, nothing stored twice.

    python -m bench.store.restarts --times 20

Half of the times PostgreSQL is ended at once and started again, half of the times all its connections are cut, while
four clients store one digit after another. Results go to bench/results/store.json. Needs Debian's postgresql.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

from bench.results_io import PROJECT, RESULTS, load_results, save_results
from bench.serve.resilience import store_digits
from handigit.store import Store
from handigit.store.integrity import check
from tests.serving import picture, running

sys.path.append(str(PROJECT / "tests"))
from store_server import INSTALLED, create_schema, postgres  # type: ignore[import-not-found]  # beside the tests

_CLIENTS = 4
_PATIENCE_S = 60


def restarts(folder: Path, times: int) -> dict[str, Any]:
    """What the clients got and what is stored at the end; seconds until a digit is stored again."""
    acknowledged: dict[str, int] = {}
    sent: set[str] = set()
    waits: list[float] = []
    with postgres(Path(tempfile.mkdtemp(prefix="handigit-"))) as url:
        store_url = create_schema(url, "bench")
        data = Path(psycopg.connect(f"{url}/postgres").execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
        with running(folder, HANDIGIT_STORE=store_url) as server:
            stop = threading.Event()
            clients = [
                threading.Thread(target=store_digits, args=(server, str(number), acknowledged, sent, stop))
                for number in range(_CLIENTS)
            ]
            for client in clients:
                client.start()
            for number in range(times):
                time.sleep(1)
                _restart(data) if number % 2 else _cut(url)
                began = time.monotonic()
                with server.client() as client:
                    while client.post("/v1/digit", content=picture()).status_code != 200:
                        if time.monotonic() > began + _PATIENCE_S:
                            raise RuntimeError("the server stores nothing a minute after its database is back")
                        time.sleep(0.05)
                waits.append(round(time.monotonic() - began, 2))
                print(number + 1, len(acknowledged), waits[-1], flush=True)
            stop.set()
            for thread in clients:
                thread.join()
        with Store.open(store_url, files=folder / "pictures") as store:
            rows = [(reading.provenance.source, reading.id) for reading in store.all()]
            findings = sum(not finding.harmless for finding in check(store))
    ids, stored = dict(rows), Counter(source for source, _ in rows if source in sent)
    return {
        "times": times,
        "acknowledged": len(acknowledged),
        "sent": len(sent),
        "lost": sum(ids.get(name) != number for name, number in acknowledged.items()),
        "doubled": sum(count > 1 for count in stored.values()),
        "findings": findings,
        "wait_max_s": max(waits),
    }


def _restart(data: Path) -> None:
    control = ["runuser", "-u", data.owner(), "--", str(INSTALLED[-1].parent / "pg_ctl")]
    command = [*control, "-D", str(data), "-m", "immediate", "-w", "-l", str(data.parent / "log"), "restart"]
    subprocess.run(command, check=True, cwd=data.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _cut(url: str) -> None:
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = restarts(Path(place), options.times)
    print(json.dumps(found))
    results = load_results(RESULTS / "store.json")
    postgresql = results.get("postgresql", {}) | {"restarts": found}
    save_results(RESULTS / "store.json", results | {"postgresql": postgresql})


if __name__ == "__main__":
    main()
