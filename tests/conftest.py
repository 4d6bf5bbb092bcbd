"""What all tests share: no deadlines on a busy machine, and the real data where it is available."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

# Tiny nets gain nothing from a second thread, and threads that wait for one another stall on a busy machine. Set
# before PyTorch is loaded, and only here, so that tests of the reading half never load it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

from handigit.settings import Settings

_LEARNING = re.compile(r"^(import torch|from torch|from handigit\.(augment|models|train))", re.MULTILINE)
if find_spec("torch") is None:  # an installation that only reads and serves
    collect_ignore = [
        path.name for path in Path(__file__).parent.glob("test_*.py") if _LEARNING.search(path.read_text())
    ]

pytest_plugins = ("browsing", "signing_in")  # fixtures of all tests of pages

# Speed is measured in bench/: a test that fails because the machine is busy proves nothing.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data; without it the test is skipped."""
    folder = Settings().data
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no real data in {folder}; set HANDIGIT_DATA or run: handigit data fetch")
    return folder
