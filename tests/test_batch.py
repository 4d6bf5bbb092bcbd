"""Batches: inputs of every kind, rows that count exactly once, workers that die, and drivers that are killed."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from handigit import Reader
from handigit.batch.inputs import Input, count_inputs, list_inputs
from handigit.batch.parts import OutputFolder
from handigit.batch.pool import WorkerPool
from handigit.batch.run import BatchOptions, Summary, run_batch
from handigit.batch.watch import WatchOptions, watch
from handigit.batch.worker import COLUMNS, BatchError, BatchWorker, InputResult, ReadOptions
from handigit.cli import run
from handigit.forms.drawn import save_samples
from handigit.store import Store
from handigit.synth import digits, picture
from serving import all_end

DIGITS = ReadOptions(kind="digit")
IDENTITY = {"kind": "digit", "model": "m"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of digits and one broken file."""
    folder = tmp_path_factory.mktemp("scans")
    for index, glyph in enumerate(digits(24, seed=3).glyphs):
        Image.fromarray(255 - glyph).resize((56, 56)).save(folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def memory() -> Iterator[str]:
    """An in-memory file system in place of an object store."""
    files = fsspec.filesystem("memory")
    yield "memory://bucket"
    if files.exists("/bucket"):
        files.rm("/bucket", recursive=True)


def rows(out: Path | str, suffix: str = "jsonl") -> list[dict]:
    """All rows of a batch, from its committed parts."""
    files, root = fsspec.core.url_to_fs(str(out))
    found = []
    names = sorted(str(commit).rpartition("/")[2] for commit in files.ls(f"{root}/commits", detail=False))
    for name in names:
        if name.startswith("."):  # left by a kill, never committed
            continue
        part = name.replace(".json", f".{suffix}")
        content = files.cat_file(f"{root}/parts/{part}")
        if suffix == "parquet":
            found += pq.read_table(BytesIO(content)).to_pylist()
        else:
            found += [json.loads(line) for line in content.splitlines()]
    return found


def keys(out: Path | str) -> Counter[tuple]:
    return Counter((row["source"], row["digest"], row["page"], row["index"], row["text"]) for row in rows(out))


def sources(inputs: Iterator[Input]) -> list[str]:
    return [item.source for item in inputs]


# Inputs


def test_a_folder_is_listed_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("scan10.png", "scan2.png", ".hidden.png", "note.txt", "__MACOSX/scan3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [Path(source).name for source in sources(list_inputs([str(tmp_path)]))] == ["scan2.png", "scan10.png"]
    assert len(list(list_inputs([str(tmp_path / "scan*.png"), str(tmp_path)]))) == 2, "each file once"


def as_zip(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def as_tar(path: Path, names: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_entries_of_archives_are_inputs_and_nothing_is_extracted(tmp_path: Path, name: str) -> None:
    content = {"../../x/2.png": b"two", "10.png": b"ten", "__MACOSX/10.png": b"no", "readme.txt": b"no"}
    path = (as_zip if name == "a.zip" else as_tar)(tmp_path / name, content)
    found = {item.source: item.read() for item in list_inputs([str(path)])}
    assert found == {f"{path}!../../x/2.png": b"two", f"{path}!10.png": b"ten"}
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_bomb_in_an_archive_is_an_error_of_its_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb.png", "w") as entry:
            for _ in range(257):
                entry.write(bytes(1 << 20))
        archive.writestr("good.png", b"good")
    bomb, good = list_inputs([str(tmp_path / "b.zip")])
    (result, _) = BatchWorker(DIGITS).read([bomb, good])
    assert "larger than 256 MB" in result.rows[0]["error"]


def test_lists_name_paths_beside_them_urls_and_folders(tmp_path: Path, memory: str) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/remote.png", b"remote")
    (tmp_path / "scans").mkdir()
    for name in ("one.png", "scans/two.png"):
        (tmp_path / name).write_bytes(b"x")
    named = ["one.png", "scans", f"{memory}/remote.png"]
    (tmp_path / "a.csv").write_text("id,path\n" + "".join(f"1,{name}\n" for name in named))
    (tmp_path / "b.txt").write_text("\n".join(named))
    pq.write_table(pa.table({"file": named}), tmp_path / "c.parquet")
    expected = [str(tmp_path / "one.png"), str(tmp_path / "scans/two.png"), f"{memory[:9]}/bucket/remote.png"]
    for table in ("a.csv", "b.txt", "c.parquet"):
        assert sources(list_inputs([str(tmp_path / table)])) == expected
    (tmp_path / "d.csv").write_text("id,name\n1,x\n")
    (item,) = list_inputs([str(tmp_path / "d.csv")])
    assert item.problem is not None
    assert "a list needs a column `path` or `file`; it has: id, name" in item.problem


def test_shards_are_a_partition(tmp_path: Path) -> None:
    for index in range(50):
        (tmp_path / f"{index}.png").write_bytes(b"x")
    parts = [set(sources(list_inputs([str(tmp_path)], shard=(index, 3)))) for index in range(3)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 50
    assert min(map(len, parts)) > 5
    assert count_inputs([str(tmp_path)], shard=(0, 3)) == len(parts[0])


def test_a_changed_file_is_another_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    (first,) = list_inputs([str(tmp_path)])
    (tmp_path / "a.png").write_bytes(b"three")
    (second,) = list_inputs([str(tmp_path)])
    assert first.source == second.source
    assert first.key != second.key


# The worker


def test_rows_agree_with_the_reader_and_errors_are_rows(scans: Path) -> None:
    results = BatchWorker(DIGITS).read(list(list_inputs([str(scans)])))
    answers = {str(path): Reader(threads=1).digit(path) for path in sorted(scans.glob("[0-9]*.png"))}
    for result in results:
        (row,) = result.rows
        if result.error:
            assert row["source"].endswith("broken.png")
            assert (result.error, row["outcome"]) == ("UnreadableImage", None)
            continue
        digit = answers[row["source"]]
        assert (row["outcome"], row["page"], row["index"]) == (digit.outcome.value, 0, 1)
        assert row["confidence"] == pytest.approx(digit.confidence, abs=1e-3)
        assert row["text"] == ("" if digit.value is None else str(digit.value))


def test_every_page_of_a_document_is_read(tmp_path: Path) -> None:
    pages = [Image.fromarray(picture(digit, seed=digit).pixels) for digit in (3, 7)]
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])
    (result,) = BatchWorker(ReadOptions(kind="number")).read(list(list_inputs([str(tmp_path)])))
    assert result.pages == 2
    assert [row["page"] for row in result.rows] == [0, 1]


def test_forms_give_one_row_per_record() -> None:
    samples = Path(__file__).parents[1] / "samples" / "forms"
    inputs = list(list_inputs([str(samples / "score-sheets" / "score-sheet-001.jpg"), str(samples / "cheques")]))[:2]
    form, other = BatchWorker(ReadOptions(templates=("score-sheet",))).read(inputs)
    (row,) = form.rows
    assert (row["kind"], row["template"], row["page"], row["error"]) == ("form", "score-sheet", 0, None)
    assert json.loads(row["record"])["fields"]["candidate"]["text"]
    assert other.error == "Unplaced"
    assert other.rows[0]["outcome"] == "unplaced"


def test_auto_reads_numbers_and_pages() -> None:
    samples = Path(__file__).parents[1] / "samples"
    inputs = list_inputs([str(samples / "numbers/touching-digits.png"), str(samples / "pages/form-with-cells.jpg")])
    number, page = BatchWorker(ReadOptions()).read(list(inputs))
    assert [row["text"] for row in number.rows] == ["35802"]
    assert len(page.rows) > 2
    assert {row["kind"] for row in page.rows} == {"page"}


# The output folder


def result_of(name: str, texts: list[str] | None = None) -> InputResult:
    worker_row = dict.fromkeys(COLUMNS)
    found = [
        worker_row | {"source": Input(name).name, "page": 0, "index": i, "text": t}
        for i, t in enumerate(texts or [name], 1)
    ]
    return InputResult(Input(name, name), "d", found, 1)


def test_parts_hold_equal_rows_in_both_formats(tmp_path: Path) -> None:
    folder = OutputFolder(str(tmp_path / "o"), IDENTITY, resume=False)
    folder.commit([result_of("a", ["1", "2"]), result_of("ß\udcff", ["3"])])
    folder.close()
    assert [row["text"] for row in rows(tmp_path / "o")] == ["1", "2", "3"]
    assert [row["text"] for row in rows(tmp_path / "o", "parquet")] == ["1", "2", "3"]
    record = json.loads((tmp_path / "o/commits/part-000001.json").read_text())
    assert [entry["source"][:1] for entry in record["inputs"]] == ["a", "ß"]


@pytest.mark.parametrize("where", ["local", "memory"])
def test_a_resumed_folder_knows_what_is_finished_and_drops_uncommitted_parts(
    tmp_path: Path, memory: str, where: str
) -> None:
    out = str(tmp_path / "o") if where == "local" else f"{memory}/o"
    files, root = fsspec.core.url_to_fs(out)
    first = OutputFolder(out, IDENTITY, resume=False)
    first.commit([result_of("a")])
    first.close()
    files.pipe_file(f"{root}/parts/part-000002.jsonl", b"remains of a killed process\n")
    second = OutputFolder(out, IDENTITY, resume=True)
    assert second.finished == {Input("a", "a").key}
    assert second.batch_id == first.batch_id
    assert not files.exists(f"{root}/parts/part-000002.jsonl")
    second.commit([result_of("b")])
    second.close()
    assert [row["text"] for row in rows(out)] == ["a", "b"]


def test_two_batches_do_not_mix_in_one_folder(tmp_path: Path) -> None:
    out = str(tmp_path / "o")
    first = OutputFolder(out, IDENTITY, resume=False)
    with pytest.raises(BatchError, match="another batch is writing to this folder"):
        OutputFolder(out, IDENTITY, resume=True)
    first.close()
    with pytest.raises(BatchError, match="already holds a batch; add --resume"):
        OutputFolder(out, IDENTITY, resume=False)
    with pytest.raises(BatchError, match="was started with kind = 'digit', not 'page'"):
        OutputFolder(out, IDENTITY | {"kind": "page"}, resume=True)


def test_a_process_whose_batch_was_resumed_elsewhere_commits_nothing_more(memory: str) -> None:
    first = OutputFolder(f"{memory}/o", IDENTITY, resume=False)
    second = OutputFolder(f"{memory}/o", IDENTITY, resume=True)
    second.commit([result_of("a")])
    with pytest.raises(BatchError, match="another process has resumed this batch"):
        first.commit([result_of("a")])
    assert [row["text"] for row in rows(f"{memory}/o")] == ["a"]


# Workers that die


class Deadly(Input):
    """Kills the process that reads it."""

    def read(self) -> bytes:  # noqa: D102
        os.kill(os.getpid(), signal.SIGKILL)
        return b""


class Hanging(Input):
    """Never ends."""

    def read(self) -> bytes:  # noqa: D102
        threading.Event().wait()
        return b""


class Failing(Input):
    """Raises what no one expects."""

    def read(self) -> bytes:  # noqa: D102
        raise MemoryError


@pytest.mark.slow
def test_inputs_that_kill_or_hang_their_reader_are_quarantined_and_the_rest_is_read(scans: Path) -> None:
    good = list(list_inputs([str(scans / "[0-9].png")]))
    bad = [Deadly("deadly.png"), Hanging("hanging.png")]
    with WorkerPool(DIGITS, jobs=2, timeout_s=8) as pool:
        results = list(pool.results([*good[:5], *bad, *good[5:]], chunk=4))
    assert Counter(result.input.source for result in results) == Counter(item.source for item in [*good, *bad])
    errors = {result.input.source: result.error for result in results if result.error}
    assert errors == {"deadly.png": "Quarantined", "hanging.png": "Quarantined"}


def test_an_unexpected_error_costs_its_own_input_alone(scans: Path) -> None:
    good = list(list_inputs([str(scans / "[0-3].png")]))
    results = BatchWorker(DIGITS).read([good[0], Failing("f.png"), *good[1:]])
    assert [result.error for result in results] == [None, "MemoryError", None, None, None]


# Whole batches


def test_a_batch_reads_everything_once_and_resuming_it_adds_nothing(scans: Path, tmp_path: Path) -> None:
    options = BatchOptions((str(scans),), str(tmp_path / "o"), DIGITS, jobs=2, part_inputs=10)
    done: list[tuple[int, int]] = []
    summary = run_batch(options, on_progress=lambda progress: done.append((progress.done, progress.total)))
    assert done[-1] == (25, 25)
    assert (summary.totals["inputs"], summary.totals["rows"], summary.failed) == (25, 24, 1)
    assert summary.group("error") == {"UnreadableImage": 1}
    assert json.loads((tmp_path / "o/summary.json").read_text())["inputs"] == 25
    assert len(list((tmp_path / "o/commits").iterdir())) == 3
    before = keys(tmp_path / "o")
    again = run_batch(BatchOptions((str(scans),), str(tmp_path / "o"), DIGITS, jobs=2, resume=True))
    assert (again.totals["inputs"], again.skipped) == (25, 25)
    assert keys(tmp_path / "o") == before
    assert len(before) == 25


def command(scans: Path, out: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "handigit.cli", "batch", str(scans), "--out", str(out), "--as", "digit"]
    return [*base, "--jobs", "2", "--part-size", "2", *more]


def wait_for_commits(out: Path, count: int, process: subprocess.Popen) -> None:
    """Wait until that number of parts is committed or the process has ended."""
    while process.poll() is None and len(list((out / "commits").glob("part-*.json"))) < count:
        time.sleep(0.01)


@pytest.mark.slow
def test_a_batch_killed_again_and_again_ends_with_the_same_rows(scans: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    run_batch(BatchOptions((str(scans),), str(whole), DIGITS, jobs=1))
    out, more = tmp_path / "killed", ()
    for commits in (1, 3, 5):
        process = subprocess.Popen(command(scans, out, *more), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_commits(out, commits, process)
        process.kill()
        process.wait()
        more = ("--resume",)
    assert subprocess.run(command(scans, out, *more), check=False, capture_output=True).returncode == 1
    assert keys(out) == keys(whole)
    assert max(keys(out).values()) == 1


def children_of(process: subprocess.Popen) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_workers_cost_no_rows_and_do_not_outlive_their_driver(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    process = subprocess.Popen(command(scans, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for_commits(out, 1, process)
    workers = children_of(process)
    for worker in workers[: len(workers) // 2 or 1]:
        os.kill(worker, signal.SIGKILL)
    assert process.wait() == 1  # 1: the broken file
    assert len(keys(out)) == 25
    process = subprocess.Popen(command(scans, tmp_path / "p"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for_commits(tmp_path / "p", 1, process)
    workers = children_of(process)
    process.kill()
    process.wait()
    assert all_end(workers)


def test_object_stores_work_for_inputs_and_results(scans: Path, memory: str) -> None:
    files = fsspec.filesystem("memory")
    for name in ("1.png", "2.png"):
        files.pipe_file(f"/bucket/in/{name}", (scans / name).read_bytes())
    inputs = list(list_inputs([f"{memory}/in"]))
    assert [item.read() for item in inputs] == [(scans / name).read_bytes() for name in ("1.png", "2.png")]
    # Worker processes have memories of their own, so the batch reads local files into the in-memory store.
    summary = run_batch(BatchOptions((str(scans / "[12].png"),), f"{memory}/out", DIGITS, jobs=1))
    assert summary.totals["rows"] == 2
    assert len(rows(f"{memory}/out", "parquet")) == 2


def test_doubts_go_into_the_review_queue_once(scans: Path, tmp_path: Path) -> None:
    strict = ReadOptions(kind="digit", target_error=0.0001, keep_doubts=True)
    url, files = f"sqlite:///{tmp_path / 'handigit.db'}", tmp_path / "pictures"
    options = BatchOptions((str(scans),), str(tmp_path / "o"), strict, into=url, store_files=files)
    summary = run_batch(options)
    doubts = summary.group("outcome")["doubt"]
    assert summary.queued == doubts > 0
    # As after a crash between the store's transaction and the commit record.
    next((tmp_path / "o/commits").iterdir()).unlink()
    again = run_batch(
        BatchOptions((str(scans),), str(tmp_path / "o"), strict, into=url, store_files=files, resume=True)
    )
    assert again.queued == 0
    with Store.open(url, files=files) as store:
        assert store.waiting().doubts == doubts
        stored = list(store.all())
        assert {reading.provenance.source for reading in stored} <= {str(path) for path in scans.iterdir()}
        assert store.picture(str(stored[0].picture)).startswith(b"\x89PNG")


def test_forms_go_into_the_store_with_their_pages_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDIGIT_STATE", str(tmp_path / "state"))
    save_samples("parcel-label", tmp_path / "scans", count=1, dpi=120)
    (tmp_path / "scans/broken.png").write_bytes(b"not a picture")
    out, url = tmp_path / "o", f"sqlite:///{tmp_path / 'handigit.db'}"
    command = ["batch", str(tmp_path / "scans"), "--out", str(out), "--jobs", "1", "-t", "parcel-label", "--into", url]
    assert run(command) == 1, "the broken picture is unplaced"
    assert "2 stored for review" in capsys.readouterr().out
    assert run([*command, "--resume"]) == 1
    # As after a crash between the store's transaction and the commit record: the forms are read again.
    next((out / "commits").iterdir()).unlink()
    assert run([*command, "--resume"]) == 1
    assert "stored" not in capsys.readouterr().out
    found = {row["outcome"]: json.loads(row["record"]) for row in rows(out)}
    with Store.open(url, files=tmp_path / "state/pictures") as store:
        (batch,) = store.forms.batches()
        assert (batch.records, batch.templates) == (2, ("parcel-label",))
        stored = {record.content["outcome"]: record for record in store.forms.all()}
        assert {outcome: record.content for outcome, record in stored.items()} == found
        broken = stored.pop("unplaced")
        assert not broken.pictures
        (form,) = stored.values()
        assert form.content["provenance"].keys() == {"template", "model", "threshold"}
        assert store.picture(form.pictures[1]).startswith(b"\x89PNG")


def test_ctrl_c_commits_what_was_read(scans: Path, tmp_path: Path) -> None:
    def interrupt(progress: object) -> None:
        if progress.done >= 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    out = tmp_path / "o"
    options = BatchOptions((str(scans),), str(out), DIGITS, jobs=1)
    summary = run_batch(options, on_progress=interrupt)
    assert summary.interrupted
    assert not (out / "summary.json").exists()
    assert len(keys(out)) == 5
    run_batch(BatchOptions((str(scans),), str(out), DIGITS, jobs=1, resume=True))
    assert len(keys(out)) == 25
    assert max(keys(out).values()) == 1


NANO = Path(__file__).parents[1] / "published" / "digit-nano.onnx"


def test_a_driver_that_cannot_start_loses_nothing(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(progress: object) -> None:
        if progress.done >= 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    out = tmp_path / "o"
    run_batch(BatchOptions((str(scans),), str(out), DIGITS, jobs=1), on_progress=interrupt)
    before = keys(out)
    command = ["batch", str(scans), "--out", str(out), "--as", "digit", "--jobs", "1", "--resume"]
    assert run([*command, "--model", str(NANO)]) == 1  # as if the weights had been replaced
    assert "its batch was started with models" in " ".join(capsys.readouterr().err.split())
    assert keys(out) == before
    assert not (out / "summary.json").exists(), "the sign that a batch is complete"
    assert run(command) == 1, "the broken file"
    assert len(keys(out)) == 25
    assert (out / "summary.json").exists()


# The command line


def test_the_command_line_names_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["batch", "--out", str(tmp_path / "o")]) == 2
    assert run(["batch", "x", "--out", str(tmp_path / "o"), "--shard", "4/3"]) == 2
    assert run(["batch", str(tmp_path / "none"), "--out", str(tmp_path / "o"), "--jobs", "1"]) == 1
    assert run(["batch", str(tmp_path / "none"), "--out", str(tmp_path / "o"), "--jobs", "1"]) == 1
    text = " ".join(capsys.readouterr().err.split())
    assert "nothing to read" in text
    assert "--shard 4/3: not I/N" in text
    assert "already holds a batch; add --resume" in text


def test_a_summary_counts_outcomes_and_errors() -> None:
    totals = {"inputs": 3, "rows": 2, "failed": 1, "outcome read": 2, "error UnreadableImage": 1}
    summary = Summary(totals, skipped=0, queued=0, seconds=1.0, rate=3.0)
    assert summary.to_json()["outcomes"] == {"read": 2}
    assert summary.to_json()["errors"] == {"UnreadableImage": 1}


# Ray


@pytest.mark.slow
def test_ray_gives_the_same_rows_as_the_pool(scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    run_batch(BatchOptions((str(scans),), str(tmp_path / "pool"), DIGITS, jobs=1))
    run_batch(BatchOptions((str(scans),), str(tmp_path / "ray"), DIGITS, jobs=2, on="ray"))
    assert keys(tmp_path / "ray") == keys(tmp_path / "pool")


# Watching a folder


def watched(folder: Path, table: Path | None, count: int, **more: object) -> list[InputResult]:
    """Watch until that number of files has been read."""
    stop, results = threading.Event(), []

    def on_result(result: InputResult) -> None:
        results.append(result)
        if len(results) >= count:
            stop.set()

    guard = threading.Timer(90, stop.set)
    guard.start()
    watch(WatchOptions(folder, table, DIGITS, settle_s=0.1, **more), stop=stop, on_result=on_result)  # type: ignore[arg-type]
    guard.cancel()
    return results


def test_a_watched_folder_files_what_it_reads(scans: Path, tmp_path: Path) -> None:
    inbox, table = tmp_path / "inbox", tmp_path / "numbers.jsonl"
    (inbox / "done").mkdir(parents=True)
    for name in ("1.png", "2.png", "broken.png"):
        (inbox / name).write_bytes((scans / name).read_bytes())
    (inbox / "done/1.png").write_bytes(b"an earlier scan of the same name")
    assert len(watched(inbox, table, 3)) == 3
    assert sorted(path.name for path in inbox.rglob("*.png")) == ["1-2.png", "1.png", "2.png", "broken.png"]
    assert "broken.png" in (inbox / "failed/broken.png.txt").read_text()
    written = [json.loads(line) for line in table.read_text().splitlines()]
    assert sorted(Path(row["source"]).name for row in written) == ["1.png", "2.png", "broken.png"]


@pytest.mark.slow
def test_a_watch_that_crashed_before_filing_neither_loses_nor_doubles_rows(scans: Path, tmp_path: Path) -> None:
    inbox, table = tmp_path / "inbox", tmp_path / "numbers.jsonl"
    inbox.mkdir()
    (inbox / "1.png").write_bytes((scans / "1.png").read_bytes())
    watched(inbox, table, 1)
    whole = table.read_text()
    for remains in (whole, whole[: len(whole) // 2]):  # killed after the row, and in it
        (inbox / "done/1.png").rename(inbox / "1.png")
        table.write_text(remains)
        watched(inbox, table, 1)
        assert table.read_text() == whole


def test_numpy_types_do_not_reach_json(scans: Path) -> None:
    (result,) = BatchWorker(DIGITS).read(list(list_inputs([str(scans / "1.png")])))
    assert not [value for value in result.rows[0].values() if isinstance(value, np.generic)]


def test_the_page_about_scale_shows_the_measured_figures() -> None:
    from bench.batch.cost import PAGE, page_with_figures

    text = PAGE.read_text(encoding="utf-8")
    assert page_with_figures(text) == text, "run: python -m bench.batch.cost"
