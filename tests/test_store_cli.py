"""`handigit store` and `handigit models promote` from the command line."""

import io
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from onnx import TensorProto, helper, numpy_helper, save

from handigit.cli.models import models
from handigit.cli.store import DONE, UNSOUND, store
from handigit.data import Dataset, save_npz
from handigit.errors import ModelError
from handigit.evaluate.promotion import PromotionRefused
from handigit.read.engine import EMBEDDED
from handigit.store import BrokenBackup, LastAdmin, RetentionRefused, Store, StoreError, Truth
from handigit.synth import digits
from store_cases import PROVENANCE, doubt, number, page

EMBEDDED_DIGIT = EMBEDDED / "digit.onnx"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the settings, with a decided doubt in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDIGIT_STATE", str(tmp_path / "state"))
    filled = Store.open(f"sqlite:///{tmp_path / 'state' / 'handigit.db'}", files=tmp_path / "state" / "pictures")
    (reading,) = filled.add([doubt("15")], PROVENANCE, page=page())
    filled.decide(reading, Truth("16"), by="ann", key="k")
    return filled


def handigit(*words: str) -> int:
    """Run the command line; returns its exit status."""
    app = App(result_action="return_value")
    app.command(store)
    app.command(models)
    return int(app(words, exit_on_error=False) or DONE)


def test_a_store_is_backed_up_and_restored(opened: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert handigit("store", "backup", "kept") == DONE
    assert "1 readings, 1 pictures" in capsys.readouterr().out
    opened.add([number("2")], PROVENANCE)
    assert handigit("store", "restore", "kept") == UNSOUND
    assert "--yes" in capsys.readouterr().err
    assert handigit("store", "restore", "kept", "--yes") == DONE
    assert [reading.text for reading in opened.all()] == ["16"]
    with pytest.raises(BrokenBackup):
        handigit("store", "restore", "nowhere", "--yes")


def test_lost_pictures_are_named_and_come_back(opened: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert handigit("store", "backup", "kept") == DONE
    digest = next(opened.all()).picture or ""
    opened.pictures.remove(digest)
    assert handigit("store", "backup", "incomplete") == UNSOUND
    assert f"picture {digest} was missing" in capsys.readouterr().err
    assert handigit("store", "restore", "incomplete", "--pictures-only") == UNSOUND
    assert handigit("store", "restore", "kept", "--pictures-only") == DONE
    assert "brought back 1 pictures" in capsys.readouterr().out
    assert handigit("store", "check") == DONE


def test_numbers_are_exported_in_the_format_of_the_file(opened: Store, tmp_path: Path) -> None:
    assert len(list(opened.all())) == 1
    for name in ("numbers.csv", "numbers.xlsx", "numbers.jsonl"):
        assert handigit("store", "export", name) == DONE
        assert (tmp_path / name).stat().st_size > 50
    assert (tmp_path / "numbers.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[1:4] == ["1", "1", "16"]
    with pytest.raises(StoreError, match=r"name a \.csv, \.xlsx or \.jsonl file"):
        handigit("store", "export", "numbers.pdf")


def test_people_are_added_listed_and_removed(
    opened: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\ncorrect horse\nbattery staple\n"))
    assert handigit("store", "user", "add", "ada") == DONE
    assert handigit("store", "user", "add", "bob", "--role", "reviewer") == DONE
    assert handigit("store", "user", "password", "ada") == DONE
    assert opened.accounts.sign_in("ada", "battery staple")
    assert handigit("store", "user", "list") == DONE
    assert [line.split() for line in capsys.readouterr().out.splitlines()[-2:]] == [
        ["ada", "admin"],
        ["bob", "reviewer"],
    ]
    assert handigit("store", "user", "remove", "bob") == DONE
    with pytest.raises(LastAdmin):
        handigit("store", "user", "remove", "ada")


def test_a_check_names_what_is_wrong(opened: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert handigit("store", "check") == DONE
    assert "sound" in capsys.readouterr().out
    opened.pictures.put("f" * 64, b"left over")
    assert handigit("store", "check") == DONE
    assert "--sweep" in capsys.readouterr().err
    assert handigit("store", "check", "--sweep") == DONE
    assert "removed 1 files" in capsys.readouterr().out
    opened.pictures.remove(next(opened.all()).picture or "")
    assert handigit("store", "check") == UNSOUND
    assert "missing" in capsys.readouterr().err


def test_decisions_are_exported_for_training(opened: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(opened.all())) == 1
    assert handigit("store", "export-corrections", "learn") == DONE
    assert "train RECIPE --data learn/digits" in capsys.readouterr().out
    assert {path.parent.name for path in (tmp_path / "learn" / "digits").glob("*/*.png")} == {"1", "6"}


def test_retention_needs_a_number_of_days(
    opened: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handigit("store", "retain") == UNSOUND
    assert "HANDIGIT_RETENTION_DAYS" in capsys.readouterr().err
    assert handigit("store", "retain", "--days", "1") == DONE
    assert len(list(opened.all())) == 1
    monkeypatch.setenv("HANDIGIT_RETENTION_DAYS", "1e-9")
    assert handigit("store", "retain") == DONE
    assert not list(opened.all())


def test_retention_by_a_wrong_clock_needs_a_yes(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class YearAhead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "YearAhead":
            return super().now(tz) + timedelta(days=365)

    opened.add([number("2")] * 10, PROVENANCE)  # a small store may be emptied
    monkeypatch.setattr(import_module("handigit.cli.store"), "datetime", YearAhead)
    with pytest.raises(RetentionRefused, match="check the clock"):
        handigit("store", "retain", "--days", "90")
    assert len(list(opened.all())) == 11
    assert handigit("store", "retain", "--days", "90", "--yes") == DONE
    assert not list(opened.all())


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty synthetic digits."""
    monkeypatch.setenv("HANDIGIT_DATA", str(tmp_path))
    drawn = digits(40, seed=1)
    save_npz(Dataset("frozen", drawn.glyphs, drawn.labels), tmp_path / "frozen.npz")
    return tmp_path / "frozen.npz"


@pytest.fixture
def always_zero(tmp_path: Path) -> Path:
    """A model that reads everything as 0."""
    weights = np.zeros((784, 10), np.float32)
    weights[:, 0] = 1
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "zero", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "zero.onnx")
    return tmp_path / "zero.onnx"


def test_only_a_model_that_does_not_do_worse_goes_live(
    frozen: Path, always_zero: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = tmp_path / "models" / "digit.onnx"
    rest = ("--frozen", str(frozen), "--live", str(live))
    with pytest.raises(PromotionRefused, match=r"of 40 examples the new model gets 3[0-9] wrong"):
        handigit("models", "promote", str(always_zero), *rest)
    assert not live.exists()
    assert handigit("models", "promote", str(EMBEDDED_DIGIT), *rest) == DONE
    assert "promoted: of 40 examples" in capsys.readouterr().out
    assert live.read_bytes() == EMBEDDED_DIGIT.read_bytes()
    always_zero.replace(live)
    assert handigit("models", "promote", str(EMBEDDED_DIGIT), *rest) == DONE
    assert live.with_name("digit.previous.onnx").exists()


def test_a_live_model_needs_a_path(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDIGIT_MODEL_DIR", raising=False)
    with pytest.raises(ModelError, match="HANDIGIT_MODEL_DIR"):
        handigit("models", "promote", str(EMBEDDED_DIGIT), "--frozen", str(frozen))
