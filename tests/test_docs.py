"""What the documents say exists, exists: verbs, flags, files, names."""

import re
import shlex
from pathlib import Path

import pytest

import handigit
from handigit.cli import DONE, app, run

PROJECT = Path(__file__).parents[1]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "published" / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]


def commands() -> list[str]:
    """Every `handigit ...` line in a code block of the documents."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = [line.strip().removeprefix("$ ") for line in block.splitlines()]
            found += [line.split("  #")[0].split(" > ")[0] for line in lines if line.startswith("handigit ")]
    return found


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_is_understood(command: str) -> None:
    words = shlex.split(command)[1:]
    if words[:1] == ["--help"]:
        return
    function, bound, _ = app.parse_args(words, exit_on_error=False, print_error=True)
    assert function is not None
    assert bound is not None


def test_the_readme_shows_the_main_verbs() -> None:
    verbs = {shlex.split(command)[1] for command in commands()}
    assert {"read", "train", "evaluate"} <= verbs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_named_in_the_walk_are_there() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (PROJECT / "src" / "handigit" / name).is_file(), name


def test_python_in_the_readme_runs(monkeypatch, capsys) -> None:
    monkeypatch.chdir(PROJECT)
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own document
        said = capsys.readouterr().out.strip().splitlines()
        promised = [line.split("# ")[-1].strip() for line in block.splitlines() if line.startswith("print(")]
        assert said == promised


def test_every_verb_explains_itself(capsys) -> None:
    assert run(["--help"]) == DONE
    verbs = ["read", "train", "tune", "export", "evaluate", "compare", "submit", "models", "data"]
    said = capsys.readouterr().out
    assert all(verb in said for verb in verbs)


def test_the_changelog_knows_the_version_or_has_an_unreleased_part() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {handigit.__version__}" in text or "## Unreleased" in text


def test_nothing_speaks_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(?:home|root|work|tmp)/", page.read_text(encoding="utf-8")), page.name
