"""Forms of a batch into the store of the web app: under kills, in either database, on Ray."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handigit.batch.run import BatchOptions, run_batch
from handigit.batch.worker import ReadOptions
from handigit.forms.drawn import save_samples
from handigit.store import Store
from test_batch import children_of, rows

pytest_plugins = ("store_server",)
pytestmark = pytest.mark.slow
FORMS = 6


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of filled-in parcel labels, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("labels")
    save_samples("parcel-label", folder, count=FORMS, dpi=120)
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


def check_store(out: Path, url: str, state: Path) -> None:
    """Each record is in the store once, as in the rows, with its page."""
    found = rows(out)
    assert len(found) == len({row["source"] for row in found}) == FORMS + 1
    with Store.open(url, files=state / "pictures") as store:
        (batch,) = store.forms.batches()
        assert batch.records == FORMS + 1
        stored = list(store.forms.all())
        assert len(stored) == FORMS + 1
        contents = [json.dumps(record.content, sort_keys=True) for record in stored]
        assert sorted(contents) == sorted(json.dumps(json.loads(row["record"]), sort_keys=True) for row in found)
        for record in stored:
            if record.content["outcome"] != "unplaced":
                assert store.picture(record.pictures[1]).startswith(b"\x89PNG")


def start(labels: Path, out: Path, url: str, state: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "handigit.cli", "batch", str(labels), "--out", str(out), "-t", "parcel-label"]
    command += ["--into", url, "--jobs", "2", "--part-size", "1", *more]
    return subprocess.Popen(command, env=os.environ | {"HANDIGIT_STATE": str(state)}, stderr=subprocess.DEVNULL)


def wait_for_parts(out: Path, count: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None and len(list((out / "commits").glob("part-*.json"))) < count:
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_forms_are_stored_once_when_driver_and_workers_are_killed(labels: Path, tmp_path: Path, url: str) -> None:
    out, state = tmp_path / "o", tmp_path / "state"
    process = start(labels, out, url, state)
    wait_for_parts(out, 1, process)
    process.kill()
    process.wait()
    process = start(labels, out, url, state, "--resume")
    wait_for_parts(out, 2, process)
    for worker in children_of(process)[:1]:
        os.kill(worker, signal.SIGKILL)
    wait_for_parts(out, 4, process)
    process.kill()
    process.wait()
    assert start(labels, out, url, state, "--resume").wait() == 1  # 1: the broken file
    check_store(out, url, state)


def test_forms_are_stored_from_ray(labels: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    out, state, url = tmp_path / "o", tmp_path / "state", f"sqlite:///{tmp_path / 'handigit.db'}"
    read = ReadOptions(templates=("parcel-label",), keep_doubts=True)
    options = BatchOptions((str(labels),), str(out), read, jobs=2, on="ray", into=url, store_files=state / "pictures")
    summary = run_batch(options)
    assert (summary.queued, summary.totals["inputs"]) == (FORMS + 1, FORMS + 1)
    check_store(out, url, state)
