"""What the benches leave for `results_page.py`: one JSON file a bench, in bench/results.

It knows files and names, not what a figure means.
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def kept(path: Path) -> dict[str, Any]:
    """What an earlier call left there; nothing if there was none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def keep(path: Path, value: dict[str, Any]) -> None:
    """Write a bench's figures, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def named_file(text: str) -> tuple[str, Path]:
    """A model as a command line names it: NAME=FILE.

    Raises:
        ValueError: no name, or no such file.
    """
    name, _, file = text.partition("=")
    if not name or not Path(file).is_file():
        raise ValueError(f"{text!r} is no NAME=FILE of a file that is there")
    return name, Path(file)
