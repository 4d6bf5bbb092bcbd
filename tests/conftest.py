"""What all tests share: no deadlines on a busy machine, and the real data where it is."""

from pathlib import Path

import hypothesis
import pytest
import torch

from handigit.settings import Settings

pytest_plugins = ("browsing", "desks")  # what the tests of all pages share

# Speed is measured in bench/; a test that fails because the machine is busy says nothing.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Tiny nets gain nothing from a second thread, and threads that wait for one another stall on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data; the test is skipped where it is missing."""
    folder = Settings().data
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no real data in {folder}; set HANDIGIT_DATA or run: handigit data fetch")
    return folder
