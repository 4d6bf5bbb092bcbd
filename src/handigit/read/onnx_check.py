"""Checks of an ONNX file before a session is made: no data outside the file, and only operators that always end.

ONNX Runtime reads external weights from the working folder even when it is given bytes, so the SHA-256 of such a file
does not determine its computation. Loops and branches can run for ever or hide operators. The file is walked as
protobuf messages (onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) without the `onnx` package.
"""

from collections.abc import Iterator
from typing import Final

from handigit.errors import ModelError

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_TENSOR_NAME = 8
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH: Final = 8

OPERATORS: Final = frozenset(
    """
    Abs Add ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant
    ConstantOfShape Conv ConvInteger ConvTranspose DepthToSpace DequantizeLinear Div Dropout
    DynamicQuantizeLinear Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax
    Identity InstanceNormalization LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
    LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mul Neg Not
    Or And PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
    Round Selu Shape Sigmoid Sign Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor ArrayFeatureExtractor Binarizer
    FeatureVectorizer LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier
    SVMRegressor Scaler TreeEnsembleClassifier TreeEnsembleRegressor ZipMap FusedConv FusedGemm FusedMatMul
    QLinearAdd QLinearAveragePool QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
    QLinearSigmoid QLinearSoftmax SkipLayerNormalization
    """.split()  # noqa: SIM905 - as a list it would be a line per name
)
"""Operators of networks and of scikit-learn's models; no control flow (If, Loop, Scan, SequenceMap)."""
DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_SIZES: Final[dict[str, tuple[int, ...]]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
"""Operators whose output may be larger than their inputs, and the inputs that set its size."""
_SHAPES: Final = frozenset({"Shape", "Size"})
"""Operators whose output depends on the shape of their input alone."""


def check_onnx(content: bytes, name: str) -> None:
    """Check that a model is self-contained, uses only known operators, and that its pictures do not set sizes.

    Raises:
        ModelError: external data, an operator that is not in `OPERATORS`, a tensor whose size depends on a picture's
            content, or bytes that are not a protobuf message.
    """
    try:
        for number, value in message_fields(content):
            if number == _MODEL_GRAPH:
                _check_graph(value, name, depth=0)
            elif number == _MODEL_FUNCTIONS:
                raise ModelError(f"{name}: defines functions of its own; export it with functions expanded in line")
    except (ValueError, IndexError):
        raise ModelError(f"{name}: is not an ONNX model; export it again") from None


def _check_graph(content: bytes | memoryview, name: str, *, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ModelError(f"{name}: nests graphs more than {_MAX_DEPTH} deep; export it without control flow")
    fixed: set[str] = set()
    for number, value in message_fields(content):  # before the nodes, which may be stored first
        if number == _GRAPH_INITIALIZER:
            _check_tensor(value, name)
            fixed.add(_text_of(value, _TENSOR_NAME))
        elif number == _GRAPH_SPARSE:
            _check_sparse(value, name)
    for number, value in message_fields(content):
        if number == _GRAPH_NODE:
            _check_node(value, name, fixed, depth=depth)


def _text_of(content: bytes | memoryview, field: int) -> str:
    return next((bytes(value).decode() for number, value in message_fields(content) if number == field), "")


def _check_node(content: bytes | memoryview, name: str, fixed: set[str], *, depth: int) -> None:
    """Check a node; `fixed` are the tensors independent of a picture's content; it gets the node's own."""
    operator = domain = ""
    inputs: list[str] = []
    outputs: list[str] = []
    for number, value in message_fields(content):
        if number == _NODE_OPERATOR:
            operator = bytes(value).decode()
        elif number == _NODE_DOMAIN:
            domain = bytes(value).decode()
        elif number in (_NODE_INPUT, _NODE_OUTPUT):
            (inputs if number == _NODE_INPUT else outputs).append(bytes(value).decode())
        elif number == _NODE_ATTRIBUTE:
            _check_attribute(value, name, depth=depth)
    if operator not in OPERATORS or domain not in DOMAINS:
        shown = f"{domain}.{operator}" if domain else operator
        raise ModelError(
            f"{name}: uses the operator {shown[:80]!r}, which is not allowed; export the model without loops, branches "
            "and custom operators"
        )
    varies = [bool(tensor) and tensor not in fixed for tensor in inputs]
    if any(varies[index : index + 1] == [True] for index in _SIZES.get(operator, ())):
        raise ModelError(
            f"{name}: {operator} makes a tensor whose size depends on what is in the picture; export the model with "
            "sizes that depend on the shape of its input alone"
        )
    if operator in _SHAPES or not any(varies):
        fixed.update(outputs)


def _check_attribute(content: bytes | memoryview, name: str, *, depth: int) -> None:
    for number, value in message_fields(content):
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            _check_tensor(value, name)
        elif number in (_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES):
            _check_sparse(value, name)
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            _check_graph(value, name, depth=depth + 1)


def _check_sparse(content: bytes | memoryview, name: str) -> None:
    for number, value in message_fields(content):
        if number in (_SPARSE_VALUES, _SPARSE_INDICES):
            _check_tensor(value, name)


def _check_tensor(content: bytes | memoryview, name: str) -> None:
    for number, value in message_fields(content):
        if number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != b"\0"):
            raise ModelError(
                f"{name}: keeps its weights in another file, so its digest says nothing about them; save the model as "
                "one file, in PyTorch with torch.onnx.export(..., external_data=False)"
            )


def message_fields(content: bytes | memoryview) -> Iterator[tuple[int, bytes | memoryview]]:
    """The fields of a protobuf message: number and content; of a varint, its bytes.

    Raises:
        ValueError: it is not a message.
        IndexError: it is cut short.
    """
    view, position = memoryview(content), 0
    while position < len(view):
        key, position = _varint(view, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field 0")
        if kind == _VARINT:
            start = position
            _, position = _varint(view, position)
            yield number, view[start:position]
            continue
        if kind == _BYTES:
            length, position = _varint(view, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(view):
            raise IndexError("cut short")
        yield number, view[position : position + length]
        position += length


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """A base-128 number and the position after it."""
    value = shift = 0
    while True:
        byte = view[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("varint of more than 10 bytes")
