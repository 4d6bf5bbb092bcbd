"""The two walks of docs/architecture.md stay short, and their lists stay true."""

import pytest

from walks import ARCHITECTURE, WALKS, count_lines, documented

LIMITS = {"number": (16, 2600), "page": (46, 7400)}
"""Maximum files and lines from the first pixel to the result."""


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_is_short_and_documented(name: str) -> None:
    files = WALKS[name]()
    max_files, max_lines = LIMITS[name]
    assert len(files) <= max_files, files
    assert count_lines(files) <= max_lines, {file: count_lines([file]) for file in files}
    listed = documented(name, ARCHITECTURE.read_text(encoding="utf-8"))
    assert set(listed) == set(files), "run: python tests/walks.py"
