"""Benchmark results: one JSON file per benchmark in bench/results."""

import json
from pathlib import Path
from typing import Any

from handigit.atomic import write_file

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "bench" / "results"


def load_results(path: Path) -> dict[str, Any]:
    """The results in a file; empty if there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def save_results(path: Path, results: dict[str, Any]) -> None:
    """Write a benchmark's results, completely or not at all."""
    with write_file(path) as file:
        file.write((json.dumps(results, indent=2) + "\n").encode())


def named_file(text: str) -> tuple[str, Path]:
    """A model on a command line: NAME=FILE.

    Raises:
        ValueError: no name, or no such file.
    """
    name, _, file = text.partition("=")
    if not name or not Path(file).is_file():
        raise ValueError(f"{text!r} is not NAME=FILE with an existing file")
    return name, Path(file)
