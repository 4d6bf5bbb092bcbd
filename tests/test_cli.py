"""The command line: results, exit status, errors in one line."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handigit.cli import DONE, SOME_FAILED, WRONG_USAGE, app, run
from handigit.data import save_npz
from handigit.recipe import RECIPES, Recipe, load_recipe
from handigit.synth import digits
from handigit.train.run import Run

TINY = ["--epochs", "1", "--batch-size", "32", "--validation", "40", "--data", "synth:240"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "lenet"
    assert run(["train", "lenet5", *TINY, "--run", str(path), "--device", "cpu"]) == DONE
    return path


def draw_seven(path: Path) -> Path:
    page = np.full((120, 100), 255, np.uint8)
    page[20:28, 25:75] = 0
    for row in range(28, 100):
        left = 67 - (row - 28) // 2
        page[row, left : left + 8] = 0
    Image.fromarray(page).save(path)
    return path


def test_a_picture_is_read_in_every_format(tmp_path, capsys) -> None:
    picture = draw_seven(tmp_path / "seven.png")
    assert run(["read", str(picture)]) == DONE
    assert "7" in capsys.readouterr().out
    assert run(["read", str(picture), "--format", "jsonl"]) == DONE
    answer = json.loads(capsys.readouterr().out)
    assert list(answer)[:2] == ["source", "page"]
    assert {"outcome", "raw", "text", "value", "confidence", "box", "digits", "alternatives", "model"} <= answer.keys()
    assert (answer["text"], answer["source"]) == ("7", str(picture))
    assert run(["read", str(picture), "--format", "json"]) == DONE
    assert json.loads(capsys.readouterr().out) == [answer]
    assert run(["read", str(picture), "--format", "csv"]) == DONE
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["text"], row["outcome"]) == ("7", answer["outcome"])
    assert [int(row[side]) for side in ("left", "top", "right", "bottom")] == answer["box"]


def test_bad_files_are_named_and_the_others_answered(tmp_path, capsys) -> None:
    draw_seven(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_bytes(b"no picture at all")
    draw_seven(tmp_path / "d.png")
    assert run(["read", str(tmp_path), "missing.png", "--format", "jsonl"]) == SOME_FAILED
    captured = capsys.readouterr()
    assert [Path(json.loads(line)["source"]).name for line in captured.out.splitlines()] == ["a.png", "d.png"]
    assert "b.png: is empty" in captured.err
    assert "c.png: is not a" in captured.err
    assert "missing.png: no picture there; give a file, a folder or a pattern in quotes" in captured.err
    assert "Traceback" not in captured.err


def test_a_pattern_finds_its_files(tmp_path, capsys) -> None:
    draw_seven(tmp_path / "x1.png")
    draw_seven(tmp_path / "x2.png")
    assert run(["read", str(tmp_path / "x*.png"), "--format", "jsonl"]) == DONE
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_annotated_pictures_are_written_below_the_folder(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    draw_seven(tmp_path / "in" / "seven.png")
    assert run(["read", "in/seven.png", "--annotate", "drawn"]) == DONE
    with Image.open(tmp_path / "drawn" / "in" / "seven.png.png") as drawn:
        assert drawn.size[0] > 100


def test_each_page_of_a_tiff_is_read(tmp_path, capsys) -> None:
    first = Image.open(draw_seven(tmp_path / "page.png"))
    first.save(tmp_path / "two.tiff", save_all=True, append_images=[first.copy()])
    assert run(["read", "two.tiff", "--format", "jsonl"]) == DONE
    assert [json.loads(line)["page"] for line in capsys.readouterr().out.splitlines()] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reed", "x.png"], 'Unknown command "reed"'),
        (["read", "x.png", "--format", "xml"], "--format"),
        (["train", "lenett"], "no recipe named 'lenett'; there are:"),
        (["train", "lenet5", "--epochs", "many"], 'unable to convert "many" into int'),
        (["train", "lenet5", "--epochs", "0"], "epochs = 0 is outside 1 to 100000"),
        (["export", "somewhere"], "--output"),
        (["read", "x.png", "--target-error", "2"], "target-error"),
        (["read"], "nothing to read: give pictures, folders, patterns in quotes, or - for standard input"),
    ],
)
def test_wrong_usage_is_2_and_names_what_is_right(arguments, message, capsys) -> None:
    assert run(arguments) == WRONG_USAGE
    captured = capsys.readouterr()
    assert message in " ".join((captured.err + captured.out).split())
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere.onnx"], "no model at nowhere.onnx: give an ONNX file"),
        (["export", "nowhere", "-o", "x.onnx"], "no run in nowhere"),
        (["train", "lenet5", "--resume", "--run", "nowhere"], "no run in nowhere: it has no recipe.toml"),
        (["train", "lenet5", "--model", "lenett", *TINY], "no model named 'lenett'; there are: dense"),
        (["train", "lenet5", "--data", "nothing"], "nothing"),
        (["data", "show", "nothing"], "nothing"),
        (["compare", "nowhere"], "no run in nowhere"),
    ],
)
def test_unusable_input_is_1_and_one_line(arguments, message, capsys) -> None:
    assert run(arguments) == SOME_FAILED
    output = capsys.readouterr().err
    assert message in output
    assert output.startswith("handigit: ")
    assert "Traceback" not in output


def test_a_run_keeps_everything_and_a_model_to_read_with(trained: Path) -> None:
    kept = {path.name for path in trained.iterdir()}
    assert kept >= {"recipe.toml", "run.json", "metrics.jsonl", "report.json", "weights.safetensors", "curves.png"}
    assert (trained / "model.onnx").stat().st_size < 300_000
    facts = Run.open(trained).metadata
    assert facts["code_version"]
    assert facts["data"]["synth:240"]


def test_flags_win_over_the_recipe_file_and_the_file_over_the_defaults(trained: Path) -> None:
    recipe = Run.open(trained).recipe
    assert recipe.epochs == 1
    assert recipe.rotation_degrees == load_recipe("lenet5").rotation_degrees != Recipe().rotation_degrees
    assert recipe.beta1 == Recipe().beta1


def test_a_second_training_in_the_same_folder_is_refused(trained: Path, capsys) -> None:
    assert run(["train", "lenet5", *TINY, "--run", str(trained)]) == SOME_FAILED
    assert "already contains a run; continue it with --resume" in capsys.readouterr().err


def test_fine_tuning_from_a_run(trained: Path, tmp_path) -> None:
    arguments = ["train", "lenet5", *TINY, "--from", str(trained), "--run", "tuned", "--learning-rate", "1e-9"]
    assert run([*arguments, "--schedule", "constant"]) == DONE
    before, after = Run.open(trained).weights(), Run.open(tmp_path / "tuned").weights()
    assert all(np.allclose(before[name], after[name], atol=1e-5) for name in before)


def test_evaluate_writes_a_self_contained_report(trained: Path, tmp_path, capsys) -> None:
    drawn = digits(100, seed=5)
    from handigit.data import Dataset

    save_npz(Dataset("drawn", drawn.glyphs, drawn.labels), tmp_path / "drawn.npz")
    assert run(["evaluate", str(trained), "--data", "drawn.npz", "--report", "report"]) == DONE
    assert "accuracy" in capsys.readouterr().out
    scores = json.loads((tmp_path / "report" / "scores.json").read_text(encoding="utf-8"))
    assert scores["scores"]["n"] == 100
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_compare_puts_runs_side_by_side(trained: Path, capsys) -> None:
    assert run(["compare", str(trained), str(trained)]) == DONE
    assert "lenet" in capsys.readouterr().out


def test_submit_answers_every_row(trained: Path, tmp_path) -> None:
    glyphs = digits(20, seed=6).glyphs.reshape(20, -1)
    header = ",".join(f"pixel{i}" for i in range(784))
    rows = "\n".join(",".join(map(str, row)) for row in glyphs.tolist())
    (tmp_path / "test.csv").write_text(f"{header}\n{rows}\n", encoding="utf-8")
    assert run(["submit", str(trained / "model.onnx"), "test.csv", "-o", "submission.csv"]) == DONE
    lines = (tmp_path / "submission.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "ImageId,Label"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, 21))
    assert all(line.split(",")[1] in "0123456789" for line in lines[1:])


def test_models_are_listed(capsys) -> None:
    assert run(["models"]) == DONE
    output = capsys.readouterr().out
    assert "digitnet" in output
    assert "535,818" in output


def test_a_set_is_shown_and_written(tmp_path, capsys) -> None:
    drawn = digits(30, seed=7)
    from handigit.data import Dataset

    save_npz(Dataset("drawn", drawn.glyphs, drawn.labels), tmp_path / "drawn.npz")
    assert run(["data", "show", "drawn.npz", "--report", "shown"]) == DONE
    assert "30" in capsys.readouterr().out
    assert (tmp_path / "shown" / "report.html").is_file()
    assert list((tmp_path / "shown").rglob("*.png"))


def test_drawn_sets_are_written_and_can_be_shown(capsys) -> None:
    assert run(["data", "synth", "60", "-o", "mine.npz", "--sheet", "mine.png", "--seed", "3"]) == DONE
    with Image.open("mine.png") as sheet:
        assert sheet.size[0] > 25 * 28
    assert run(["data", "show", "mine.npz"]) == DONE
    assert "60" in capsys.readouterr().out
    assert run(["data", "synth", "20", "-o", "none.npz", "--what", "nondigits"]) == DONE
    assert run(["evaluate", "embedded", "--data", "none.npz"]) == SOME_FAILED
    assert "has no labels to score against" in capsys.readouterr().err


@pytest.mark.data
def test_fetch_takes_a_local_folder(tmp_path, monkeypatch, data_folder) -> None:
    monkeypatch.setenv("HANDIGIT_DATA", str(tmp_path / "data"))
    assert run(["data", "fetch", "--from", str(data_folder / "mnist")]) == DONE
    assert len(list((tmp_path / "data" / "mnist").iterdir())) == 4


def test_help_explains_every_field_of_a_recipe(capsys) -> None:
    run(["train", "--help"])
    output = capsys.readouterr().out
    for name in Recipe.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in output


def test_a_bad_setting_is_named_with_its_value(monkeypatch, capsys) -> None:
    monkeypatch.setenv("HANDIGIT_THREADS", "0")
    assert run(["read", "x.png"]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith("handigit: HANDIGIT_THREADS = '0': ")


def test_a_closed_pipe_is_not_an_error(tmp_path) -> None:
    for number in range(40):
        draw_seven(tmp_path / f"{number}.png")
    command = [sys.executable, "-m", "handigit.cli", "read", str(tmp_path), "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_verbose_writes_to_stderr_only(tmp_path, capsys) -> None:
    picture = draw_seven(tmp_path / "seven.png")
    assert run(["read", str(picture), "--format", "jsonl", "-v"]) == DONE
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
@pytest.mark.parametrize("verb", ["train", "tune"])
def test_every_field_of_a_recipe_reaches_the_verb(verb: str, name: str) -> None:
    _function, bound, _ignored = app.parse_args([verb, name], exit_on_error=False)
    assert bound.arguments["fields"] == load_recipe(name)


def test_a_flag_replaces_a_field_of_the_recipe() -> None:
    _function, bound, _ignored = app.parse_args(
        ["train", "digit", "--data", "mine", "--epochs", "3"], exit_on_error=False
    )
    assert bound.arguments["fields"] == load_recipe("digit", data=("mine",), epochs=3)
