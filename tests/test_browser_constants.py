"""The constants of the reader in the browser are those of the Python modules that it ports."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from handigit.web.pages.layout import STATIC

PORTS = sorted((STATIC / "handigit").glob("*.js"))
OWN = {
    "METADATA_FIELD": "of ONNX files, which Python opens with a library",
    "BEAM": "a default argument in Python",
    "FAINT": "of transparent pictures, which browsers decode themselves",
}
"""Constants without one of that name in Python."""


def ported_modules(script: str) -> list[str]:
    """The modules that the head of a script says it ports: `handigit.read.crops` and `numbers`."""
    found: list[str] = []
    for name in re.findall(r"`([\w.]+)`", script.partition("\n\n")[0]):
        if name.startswith("handigit."):
            found.append(name)
        elif found:
            found.append(f"{found[-1].rpartition('.')[0]}.{name}")
    return found


def constants_of(script: str) -> Iterator[tuple[str, Any]]:
    """Names and values of literal constants, also of `const [A, B] = [1, 2]`."""
    for names, literal in re.findall(r"^(?:export )?const (\[?[A-Z][A-Z0-9_, ]*\]?) = ([^;]+);", script, re.MULTILINE):
        try:
            value = ast.literal_eval(literal)
        except (ValueError, SyntaxError):
            continue
        yield from zip(names.strip("[]").split(", "), value, strict=True) if names[0] == "[" else [(names, value)]


def test_ports_have_the_constants_of_their_modules() -> None:
    compared = 0
    for path in PORTS:
        script = path.read_text(encoding="utf-8")
        python: dict[str, Any] = {}
        for module in ported_modules(script):
            python |= {name.lstrip("_"): value for name, value in vars(import_module(module)).items()}
        for name, value in constants_of(script) if python else ():
            assert name in python or name in OWN, f"{path.name}: {name} is not in {ported_modules(script)}"
            if name not in OWN:
                assert value == python[name], f"{path.name}: {name}"
                compared += 1
    assert compared >= 90


def test_constants_are_found_in_scripts() -> None:
    script = "// A port of `handigit.read.crops` and `numbers`.\n\nconst [A, B] = [1, 2];\nconst C = 3;\n"
    assert ported_modules(script) == ["handigit.read.crops", "handigit.read.numbers"]
    assert dict(constants_of(script)) == {"A": 1, "B": 2, "C": 3}
