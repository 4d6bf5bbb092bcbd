"""`handigit read`: finding files, output formats, terminals of every width, interruptions."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from PIL import Image
from rich.console import Console

from handigit.cli import DONE, INTERRUPTED, SOME_FAILED, WRONG_USAGE, app, run
from handigit.errors import ImageError
from handigit.evaluate.compare import RunSummary, compare
from handigit.read.document import PageReading
from handigit.read.files import STDIN, find_pictures, natural_key
from handigit.read.output import Reading, print_readings
from handigit.records import Number, Outcome, parse_value
from handigit.spreadsheet import write_xlsx
from test_cli import draw_seven

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reading(raw: str, source: str = "scans/a.png", *, page: int = 0, outcome: Outcome = Outcome.READ) -> Reading:
    text = "".join(filter(str.isdecimal, raw))
    number = Number(
        outcome, text, 0.987, alternatives=(("12345678", 0.004),), raw=raw, page=page, value=parse_value(raw)
    )
    return Reading(source, number, "number-12345678")


def table(readings: list[Reading], *, width: int, is_terminal: bool = True) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    print_readings(readings, format="table", console=console)
    return file.getvalue()


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        draw_seven(Path(name).with_suffix(".png")).rename(name)


def found(*paths: str, **kwargs: Path) -> list[str]:
    return [str(item) for item in find_pictures(map(Path, paths), **kwargs).items]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_value_is_never_cut(width: int) -> None:
    long = "0176442085-0176442"
    names = ["scans/amount-on-a-cheque-of-last-march.jpg", "scans/zip.png"]
    text = table([reading(long, names[0]), reading("3.50", names[1])], width=width)
    lines = text.splitlines()
    assert lines[0] == f"scans{os.sep}"
    assert [line.split()[0] for line in lines if line.startswith((long, "3.50"))] == [long, "3.50"]
    assert all(len(line) <= width for line in lines[1:])
    assert text.count(".jpg") == text.count(".png") == 1


def test_a_narrow_terminal_drops_the_runner_up_first() -> None:
    rows = [reading("3.50", f"scans/page-{n}-of-the-meter-book.png") for n in range(2)]
    assert "runner-up" in table(rows, width=80)
    narrow = table(rows, width=40)
    assert "runner-up" not in narrow
    assert "98.7%" in narrow


def test_a_pipe_gets_tabs_and_whole_names() -> None:
    name = "scans/" + 40 * "long-" + "\n.png"
    readings = [reading("-12", name), reading("", "b.png", outcome=Outcome.NOT_A_NUMBER)]
    text = table(readings, width=40, is_terminal=False)
    rows = [line.split("\t") for line in text.splitlines()]
    assert rows[0] == ["value", "outcome", "confidence", "runner-up", "picture"]
    assert rows[1] == ["-12", "read", "98.7%", "12345678 0.4%", name.replace("\n", "\\n")]
    assert rows[2][:2] == ["-", "not a number"]


def test_without_readings_there_is_no_header() -> None:
    assert table([], width=80) == table([], width=80, is_terminal=False) == ""


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "xlsx", "txt"])
def test_results_are_saved_by_the_name_of_the_file(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    touch("in/7.png")
    assert run(["read", "in", "-o", f"out.{suffix}"]) == DONE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"wrote out.{suffix}: 1 read" in captured.err
    if suffix == "xlsx":
        assert "in/7.png" in zipfile.ZipFile("out.xlsx").read("xl/worksheets/sheet1.xml").decode()
    else:
        assert "7" in Path(f"out.{suffix}").read_text(encoding="utf-8")


def test_xlsx_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["read", "x.png", "--format", "xlsx"]) == WRONG_USAGE
    assert "add -o numbers.xlsx" in capsys.readouterr().err


def test_spreadsheet_cells_have_types(tmp_path: Path) -> None:
    rows = [("007", Decimal("3.50"), date(2026, 5, 12), None), ("=1+1", 2, 0.5, "\x00x")]
    write_xlsx(tmp_path / "a.xlsx", ("id", "amount", "day", "note"), iter(rows))
    book = zipfile.ZipFile(tmp_path / "a.xlsx")
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<t>007</t>" in sheet
    assert "<t>=1+1</t>" in sheet
    assert "<v>3.50</v>" in sheet
    assert "<f>" not in sheet


def test_csv_has_the_number_as_written_and_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_readings(
        [reading("3.50"), reading("1.000", "=cmd.png"), reading("-3")], format="csv", console=Console(width=80)
    )
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["raw"], row["text"], row["value"]) for row in rows] == [
        ("3.50", "350", "3.5"),
        ("1.000", "1000", ""),
        ("-3", "3", "-3"),
    ]
    assert rows[1]["source"] == "'=cmd.png"
    assert rows[0]["alternatives"] == "12345678 0.0040"


def test_standard_input_is_a_dash(tmp_path: Path) -> None:
    content = draw_seven(tmp_path / "7.png").read_bytes()
    command = [sys.executable, "-m", "handigit.cli", "read", "-", "--format", "jsonl"]
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    answer = json.loads(done.stdout)
    assert (answer["source"], answer["text"]) == (str(STDIN), "7")


def test_names_are_written_in_any_encoding(tmp_path: Path) -> None:
    touch("in/メーター.png", "in/\udcff.png", "in/z.png")
    command = [sys.executable, "-m", "handigit.cli", "read", "in", "--format", "csv"]
    for encoding in ("cp1252", "ascii", "utf-8"):
        done = subprocess.run(
            command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False, cwd=tmp_path
        )
        assert done.returncode == DONE
        assert len(done.stdout.splitlines()) == 4
        assert b"Traceback" not in done.stderr


def test_files_are_in_natural_order() -> None:
    names = [f"in/scan{number}.png" for number in (10, 2, 1, 100)]
    touch(*names)
    assert found("in") == [f"in/scan{number}.png" for number in (1, 2, 10, 100)]
    assert natural_key(Path("a2")) < natural_key(Path("a10")) < natural_key(Path("b"))


def test_hidden_and_system_folders_are_ignored() -> None:
    touch(
        "in/a.png", "in/._a.png", "in/.hidden/b.png", "in/__MACOSX/c.png", "in/@eaDir/a.png/thumb.jpg",
        "in/.thumbnails/d.png", "in/.Trash-1000/e.png", "in/Thumbs.db",
    )  # fmt: skip
    assert found("in") == ["in/a.png"]
    assert found("in/*.png") == ["in/a.png"]
    assert found("in/._a.png") == ["in/._a.png"]  # named explicitly


def test_annotated_pictures_are_not_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    touch("in/a.png")
    for _ in range(2):
        assert run(["read", "in", "--annotate", "in/drawn", "--format", "jsonl"]) == DONE
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_folder_with_brackets_is_a_folder() -> None:
    touch("scans [2024]/a.png", "scans [2024]/b.png")
    assert found("scans [2024]") == found("scans [2024]/*.png") == ["scans [2024]/a.png", "scans [2024]/b.png"]


@pytest.mark.parametrize("pattern", ["scans**.png", "**x/a.png", "nothing/*.png", ""])
def test_a_bad_pattern_is_one_line(pattern: str) -> None:
    (item,) = find_pictures([Path(pattern) / "" if pattern else Path("missing")]).items
    assert isinstance(item, ImageError)
    assert "\n" not in str(item)


def test_pictures_of_phones_and_animations_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    touch("7.png")
    seven = Image.open("7.png").convert("RGB").resize((112, 112))
    for name in ("a.gif", "b.heic"):
        seven.save(name, {"a.gif": "GIF", "b.heic": "HEIF"}[name])
    assert run(["read", ".", "--format", "csv"]) == DONE
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["value"] for row in rows] == ["7", "7", "7"]


def test_skipped_files_are_named_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    touch("in/a.png", "in/b.docx", "in/c.docx", "in/d.svg")
    assert run(["read", "in"]) == DONE
    assert "1 read, 3 skipped (2 .docx, 1 .svg)" in capsys.readouterr().err
    touch("other/b.docx")
    assert run(["read", "other"]) == DONE
    assert "no numbers found, 1 skipped (.docx)" in capsys.readouterr().err


def test_the_summary_counts_outcomes_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    touch("in/a.png", "in/b.png")
    Path("in/c.png").write_bytes(b"")
    Image.fromarray(np.full((80, 80), 255, np.uint8)).save("in/d.png")
    assert run(["read", "in"]) == SOME_FAILED
    assert capsys.readouterr().err.splitlines()[-1] == "2 read, 1 blank, 1 failed"


def test_a_wrong_path_prints_the_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["read", "missing.png"]) == SOME_FAILED
    assert capsys.readouterr().out == ""


def test_jobs_keep_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    touch(*(f"in/{number}.png" for number in range(12)))
    assert run(["read", "in", "missing.png", "--jobs", "3", "--format", "jsonl"]) == SOME_FAILED
    sources = [json.loads(line)["source"] for line in capsys.readouterr().out.splitlines()]
    assert sources == [f"in/{number}.png" for number in range(12)]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C while the third file is read."""
    from handigit.read import document

    read, calls = document.read_document, []

    def third_time(*args: object, **kwargs: object) -> Iterator[PageReading]:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(document, "read_document", third_time)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("count", [lambda text: text.count("in/"), lambda text: len(json.loads(text))])
def test_ctrl_c_keeps_what_was_read(count: Callable[[str], int], capsys: pytest.CaptureFixture[str]) -> None:
    touch(*(f"in/{number}.png" for number in range(5)))
    kind = "json" if count("[0, 0]") == 2 else "table"
    assert run(["read", "in", "--format", kind]) == INTERRUPTED
    captured = capsys.readouterr()
    assert count(captured.out) == 2
    assert "interrupted; so far: 2 read" in captured.err


def test_an_unwritable_folder_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    touch("a.png")
    Path("taken").write_text("a file", encoding="utf-8")
    assert run(["read", "a.png", "--annotate", "taken"]) == SOME_FAILED
    error = capsys.readouterr().err
    assert error.startswith("handigit: taken")
    assert "[Errno" not in error


def test_deep_pictures_are_annotated_in_grey(tmp_path: Path) -> None:
    page = np.full((120, 100), 60_000, np.uint16)
    page[20:28, 25:75] = page[28:100, 50:58] = 9_000
    Image.fromarray(page).save(tmp_path / "deep.png")
    assert run(["read", "deep.png", "--annotate", "drawn"]) == DONE
    drawn = np.asarray(Image.open("drawn/deep.png.png").convert("L"))
    assert (drawn[:, : drawn.shape[1] // 2] < 80).any()


def commands(group: App, *path: str) -> Iterator[tuple[str, ...]]:
    """All commands of an app, with those of its groups."""
    for name in group:
        if not name.startswith("-"):
            yield from [(*path, name)] if group[name].default_command else ()
            yield from commands(group[name], *path, name)


@pytest.mark.parametrize("command", list(commands(app)), ids=" ".join)
def test_every_command_has_examples(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run([*command, "--help"])
    assert f"handigit {command[0]}" in capsys.readouterr().out.partition("Examples:")[2]


def test_completion_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    assert "--install-completion" in capsys.readouterr().out


def test_compare_fits_80_columns() -> None:
    recipes = [{"learning_rate": 0.001 * n, "schedule": "one-cycle", "a_long_setting": "x" * n} for n in range(1, 8)]
    runs = [RunSummary(f"run-with-a-name-{n}", recipe, (), None, 61_706) for n, recipe in enumerate(recipes)]
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(compare(runs, width=80))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert all(text.count(run.name) == 1 for run in runs)
    assert "0.007" in text


def test_auto_is_the_default_and_a_wrong_mode_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    page = SAMPLES / "pages" / "scores-on-squared-paper.jpg"
    assert run(["read", str(SAMPLES / "digits" / "crossed-7.webp"), str(page), "--format", "jsonl"]) == DONE
    texts = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    assert texts == ["7", "87", "92", "45", "100", "73", "68", "9"]
    assert run(["read", str(page), "--as", "number"]) == DONE
    assert "read it as a page (--as page)" in capsys.readouterr().err


def test_a_runner_up_has_the_separators_of_the_number() -> None:
    number = Number(Outcome.READ, "350", 0.9, alternatives=(("850", 0.1),), raw="3.50")
    assert "8.50 10.0%" in table([Reading("a.png", number, "model")], width=80)
