"""The model files that the reader in a browser loads: the same as Python's."""

from pathlib import Path
from typing import Final

from handigit.read import Reader
from handigit.read.engine import EMBEDDED

MODELS: Final = ("digit.onnx", "number.onnx", "number-second.onnx")


def model_files(reader: Reader) -> dict[str, Path]:
    """The models that a reader uses, by file name; those that it lacks are the ones inside the package."""
    path = reader.model_path
    folder = path if path.is_dir() else path.parent
    files = {name: folder / name for name in MODELS}
    if path.is_file():
        files["digit.onnx"] = path
    return {name: file if file.is_file() else EMBEDDED / name for name, file in files.items()}
