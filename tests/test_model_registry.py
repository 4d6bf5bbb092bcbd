"""The list of models: each file is loaded once, and again only when it changes."""

import shutil
from pathlib import Path

from handigit.read import Reader
from handigit.read.reader import EMBEDDED
from handigit.web.model_registry import Models


def test_a_list_loads_only_models_that_changed(tmp_path: Path) -> None:
    loaded: list[str] = []

    def make_reader(path: Path | None) -> Reader:
        loaded.append(path.name if path else "embedded")
        return Reader(path, threads=1)

    shutil.copy(EMBEDDED / "digit.onnx", tmp_path / "good.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    models = Models(make_reader, folder=tmp_path)
    models.load_initial()
    first = models.describe_all()
    assert [(model["name"], bool(model["parts"])) for model in first] == [
        ("default", True),
        ("bad", False),
        ("good", True),
    ]
    before = len(loaded)
    assert models.describe_all() == first
    assert len(loaded) == before
    shutil.copy(EMBEDDED / "digit.onnx", tmp_path / "bad.onnx")
    assert [bool(model["parts"]) for model in models.describe_all()] == [True, True, True]
    assert loaded[before:] == ["bad.onnx"]
    (tmp_path / "good.onnx").unlink()
    assert [model["name"] for model in models.describe_all()] == ["default", "bad"]
