"""Model files to ONNX Runtime sessions, and logits to probabilities."""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, Float64

from handigit.errors import ModelError

EMBEDDED: Final = Path(__file__).parents[1] / "weights"
"""The models inside the package."""
EXPECTED: Final = (
    "give an ONNX model with one float input (n,1,28,28), (n,28,28,1), (n,28,28) or (n,784) and ten outputs"
)
"""Advice for a digit model that cannot be used."""


def softmax(logits: Float32[np.ndarray, "n classes"], *, temperature: float) -> Float64[np.ndarray, "n classes"]:
    """Softmax of the logits divided by the temperature: temperature scaling (Guo et al. 2017)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def model_bytes(path_or_bytes: str | Path | bytes) -> tuple[bytes, str]:
    """The model's bytes, and its name for error messages.

    Raises:
        ModelError: a file that cannot be read.
    """
    if isinstance(path_or_bytes, bytes):
        return path_or_bytes, "the model given as bytes"
    try:
        return Path(path_or_bytes).read_bytes(), str(path_or_bytes)
    except OSError as problem:
        raise ModelError(
            f"{path_or_bytes}: cannot be read: {problem.strerror}; give the path of an .onnx file"
        ) from None


def open_session(data: bytes, name: str, threads: int | None) -> ort.InferenceSession:
    """A session for the bytes of a model.

    Raises:
        ModelError: not a model that ONNX Runtime can run, or one from elsewhere that `check_onnx` refuses.
    """
    if Path(name).parent != EMBEDDED:
        from handigit.read.onnx_check import check_onnx  # the package's own models need no check

        check_onnx(data, name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # it logs to the terminal; errors are raised anyway
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Both keep the memory of the largest run so far, for each shape of input: after one page 140 MB.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the runtime has no base class for its errors
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise ModelError(f"{name}: is not an ONNX model that can be run ({reason}); {EXPECTED}") from None
