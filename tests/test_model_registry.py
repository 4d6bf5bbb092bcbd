"""The list of models: each file is loaded once, and again only when it changes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from handigit.errors import ModelError
from handigit.read import Reader
from handigit.read.engine import EMBEDDED
from handigit.web.model_registry import Models
from handigit.workers.model_probe import probe_model


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


def write_bomb(path: Path, size: int) -> None:
    """A small file whose model fills a tensor of `size` floats."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Mul", ["count", "size"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=1),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Tile", ["column", "ten"], ["wide"]),
        helper.make_node("Add", ["wide", "sum"], ["y"]),
    ]
    values = {"first": [0], "size": [size], "last": [1], "ten": [1, 10]}
    initializers = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "g", [given], [scores], initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(made.SerializeToString())


def test_a_model_is_tried_in_a_process_with_limits(tmp_path: Path) -> None:
    good, bomb, broken = tmp_path / "good.onnx", tmp_path / "bomb.onnx", tmp_path / "broken.onnx"
    write_bomb(good, 10)
    write_bomb(bomb, 2_000_000)
    broken.write_bytes(b"not a model")
    probe_model(good)
    with pytest.raises(ModelError, match="bomb"):
        probe_model(bomb)
    with pytest.raises(ModelError, match="not an ONNX model"):
        probe_model(broken)


def test_a_model_that_does_not_pass_is_never_loaded(tmp_path: Path) -> None:
    loaded: list[Path | None] = []

    def make_reader(path: Path | None) -> Reader:
        loaded.append(path)
        return Reader(path, threads=1)

    def refuse(path: Path) -> None:
        raise ModelError(f"{path}: takes too long")

    shutil.copy(EMBEDDED / "digit.onnx", tmp_path / "slow.onnx")
    models = Models(make_reader, folder=tmp_path, probe=refuse)
    models.load_initial()
    described = models.describe_all()[1]
    assert (described["parts"], "slow: not a model" in described["problem"]) == ([], True)
    assert loaded == [None] * len(loaded)
