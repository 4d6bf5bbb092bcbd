"""The files for deployment agree with the program: each setting named there is one, and each setting is described.

`deploy/check.sh` goes further, with linters and a clean installation.
"""

import re
import tomllib
from pathlib import Path

import pytest

from handigit.settings import Settings

PROJECT = Path(__file__).parents[1]
FILES = ("deploy/Dockerfile", "deploy/compose.yaml", "deploy/handigit.service", "docs/deploy.md", "docs/api.md")
NAMES = {f"HANDIGIT_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_exists(file) -> None:
    named = set(re.findall(r"HANDIGIT_[A-Z_]+", (PROJECT / file).read_text(encoding="utf-8")))
    assert named
    assert named <= NAMES


def test_the_image_is_made_of_extras_that_exist_and_of_no_training() -> None:
    text = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", text)
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(declared["optional-dependencies"]) - {"train", "dev"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((PROJECT / name).exists() for names in copied for name in names.split())
