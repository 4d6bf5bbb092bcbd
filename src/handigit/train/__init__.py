"""Training: recipe and data in, a run folder and an ONNX file out. `trainer.fit` is the loop for all models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Exported": "export",
    "Run": "run",
    "export_run": "digit_run",
    "train_run": "digit_run",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from handigit.train.digit_run import export_run as export_run
    from handigit.train.digit_run import train_run as train_run
    from handigit.train.export import Exported as Exported
    from handigit.train.run import Run as Run


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'handigit.train' has no attribute {name!r}")
    return getattr(import_module(f"handigit.train.{_HOMES[name]}"), name)
