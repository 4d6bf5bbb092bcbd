"""Models whose digest would not say what they compute, or that never end, are refused before they are loaded."""

import contextlib
import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from handigit.errors import ModelError
from handigit.read import Engine
from handigit.read.engine import EMBEDDED
from handigit.read.onnx_check import OPERATORS, check_onnx

FLOAT = TensorProto.FLOAT
OUTSIDE = "keeps its weights in another file"


def model(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    """A model from (n, 1, 28, 28) to ten scores with these nodes in its graph."""
    inputs = [helper.make_tensor_value_info("x", FLOAT, ["n", 1, 28, 28])]
    outputs = [helper.make_tensor_value_info("y", FLOAT, ["n", 10])]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(*, external: bool) -> TensorProto:
    """Weights of a dense layer; `external`: in the file secret.bin."""
    tensor = numpy_helper.from_array(np.ones((784, 10), np.float32), "w")
    if external:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def dense(tensor: TensorProto, *, hidden: bool = False) -> onnx.ModelProto:
    """A dense layer whose weights are an initializer, or, `hidden`, the attribute of a node."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    if hidden:
        return model(helper.make_node("Constant", [], ["w"], value=tensor), *nodes)
    return model(*nodes, initializers=(tensor,))


@pytest.mark.parametrize("hidden", [False, True])
def test_external_weights_are_refused_although_the_file_is_there(
    hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.bin").write_bytes(np.ones((784, 10), np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=OUTSIDE):
        Engine(dense(weights(external=True), hidden=hidden).SerializeToString())
    assert Engine(dense(weights(external=False), hidden=hidden).SerializeToString()).card.output == "logits"


def test_external_weights_are_found_in_sparse_tensors_and_subgraphs() -> None:
    outside = weights(external=True)
    sparse = onnx.SparseTensorProto(values=outside, indices=numpy_helper.from_array(np.zeros(1, np.int64)), dims=[784])
    in_graph = dense(weights(external=False))
    in_graph.graph.sparse_initializer.append(sparse)
    in_attribute = model(helper.make_node("Constant", [], ["w"], sparse_value=sparse))
    branch = helper.make_graph([], "b", [], [], [outside])
    in_branch = model(helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch))
    for hostile in (in_graph, in_attribute, in_branch):
        with pytest.raises(ModelError, match=OUTSIDE):
            check_onnx(hostile.SerializeToString(), "m")


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "SequenceMap", "StringNormalizer", "NoSuchOperator"])
def test_only_operators_that_always_end_are_allowed(operator: str) -> None:
    with pytest.raises(ModelError, match=f"operator '{operator}', which is not allowed"):
        check_onnx(model(helper.make_node(operator, ["x"], ["y"])).SerializeToString(), "m")


def scalar(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [])


def scores(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, ["n", 10])


def test_a_loop_does_not_start() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info(n, t, s)
            for n, t, s in (("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []))
        ]
        + [helper.make_tensor_value_info("v", FLOAT, ["n", 10])],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, ["n", 10]),
        ],
    )
    turns = numpy_helper.from_array(np.array(2**62, np.int64), "turns")
    endless = model(helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body), initializers=(turns,))
    with pytest.raises(ModelError, match="'Loop'"):
        Engine(endless.SerializeToString())


def test_other_domains_and_functions_are_refused() -> None:
    with pytest.raises(ModelError, match=r"'evil\.Add'"):
        check_onnx(model(helper.make_node("Add", ["x", "x"], ["y"], domain="evil")).SerializeToString(), "m")
    with_function = copy.deepcopy(dense(weights(external=False)))
    node = helper.make_node("Loop", ["a"], ["b"])
    with_function.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [node], [helper.make_opsetid("", 17)])
    )
    with pytest.raises(ModelError, match="functions of its own"):
        check_onnx(with_function.SerializeToString(), "m")


@pytest.mark.parametrize("file", sorted(EMBEDDED.glob("*.onnx")), ids=lambda path: path.name)
def test_our_models_pass(file: Path) -> None:
    check_onnx(file.read_bytes(), file.name)


def test_the_allowed_operators_exist() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    microsoft = {name for name in OPERATORS if name.startswith(("QLinear", "Fused", "SkipLayer"))}
    assert known >= OPERATORS - microsoft


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(content: bytes) -> None:
    with contextlib.suppress(ModelError):  # and no other error
        check_onnx(content, "m")


@pytest.mark.parametrize("operator", ["Expand", "Tile", "ConstantOfShape", "Range", "Pad"])
def test_the_content_of_a_picture_sets_no_size(operator: str) -> None:
    number = helper.make_node("Cast", ["x"], ["count"], to=TensorProto.INT64)
    sizes = ["count"] * (3 if operator == "Range" else 1)
    inputs = sizes if operator in ("ConstantOfShape", "Range") else ["x", *sizes]
    hostile = model(number, helper.make_node(operator, inputs, ["y"]))
    with pytest.raises(ModelError, match=f"{operator} makes a tensor whose size depends"):
        check_onnx(hostile.SerializeToString(), "m")


def test_the_shape_of_a_picture_may_set_sizes() -> None:
    shape = helper.make_node("Shape", ["x"], ["shape"])
    twice = helper.make_node("Add", ["shape", "shape"], ["sizes"])
    harmless = model(shape, twice, helper.make_node("Expand", ["x", "sizes"], ["y"]))
    check_onnx(harmless.SerializeToString(), "m")
