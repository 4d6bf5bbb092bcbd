"""The documentation is true: commands parse, Python runs, links lead somewhere, every public name is described."""

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

import handigit
import handigit.forms
import handigit.train
from handigit.cli import DONE, app, run
from handigit.settings import SECRETS, Settings

PROJECT = Path(__file__).parents[1]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "published" / "README.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]


GENERATED = {"cli.md", "recipes.md", "changelog.md"}
"""Pages that scripts/docs_hooks.py makes when the site is built."""


def commands() -> list[str]:
    """Every `handigit ...` line in a code block of the documents."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = [line.strip().removeprefix("$ ") for line in block.splitlines()]
            found += [re.split(r"\s+# | > ", line)[0] for line in lines if line.startswith("handigit ")]
    return found


@pytest.mark.parametrize("command", commands())
def test_documented_command_is_understood(command: str) -> None:
    words = shlex.split(command)[1:]
    if words[:1] == ["--help"]:
        return
    function, bound, _ = app.parse_args(words, exit_on_error=False, print_error=True)
    assert function is not None
    assert bound is not None


def test_readme_shows_the_main_verbs() -> None:
    verbs = {shlex.split(command)[1] for command in commands()}
    assert {"read", "train", "evaluate"} <= verbs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        if not target.startswith(("http://", "https://")) and Path(target).name not in GENERATED:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_named_in_the_walk_are_there() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (PROJECT / "src" / "handigit" / name).is_file(), name


def python_blocks() -> list[tuple[str, str]]:
    """Every ```python block of the documents, with its page and number; ```py blocks need a user's own files."""
    blocks = []
    for page in PAGES:
        found = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        blocks += [(f"{page.relative_to(PROJECT)}#{number}", block) for number, block in enumerate(found, 1)]
    return blocks


@pytest.mark.parametrize(("name", "block"), python_blocks(), ids=[name for name, _ in python_blocks()])
def test_documented_python_prints_what_it_promises(name: str, block: str, monkeypatch, capsys) -> None:
    monkeypatch.chdir(PROJECT)
    exec(compile(block, name, "exec"), {})  # noqa: S102 - our own document
    printed = capsys.readouterr().out.strip().splitlines()
    prints = [line for line in block.splitlines() if line.strip().startswith("print(")]
    if all("  # " in line for line in prints):
        assert printed == [line.split("  # ")[-1].strip() for line in prints]


def test_every_public_name_is_in_the_reference() -> None:
    text = (PROJECT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^::: handigit\.([\w.]+)$", text, re.MULTILINE))
    assert set(handigit.__all__) - {"__version__"} <= described
    assert {f"forms.{name}" for name in handigit.forms.__all__} <= described
    assert {f"train.{name}" for name in handigit.train.__all__} <= described
    assert {"client", "sklearn.DigitClassifier", "synth", "evaluate"} <= described
    assert {"data.load", "models.describe", "recipe.load_recipe", "recipe.Recipe", "read.Engine"} <= described


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "reference/cli.html", "reference/python.html", "reference/recipes.html"} <= pages
    assert not dead_links(tmp_path / "site")
    demo = tmp_path / "site" / "assets"
    assert {"handigit/handigit.js", "models/number.onnx", "app/pad.js"} <= {
        path.relative_to(demo).as_posix() for path in demo.rglob("*.*")
    }
    assert "handigit tune" in (tmp_path / "site" / "reference" / "cli.html").read_text(encoding="utf-8")


def dead_links(site: Path) -> list[str]:
    """Links of the built pages to a file or a heading that is not there."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.name != "404.html"}
    anchors = {path: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for path, text in texts.items()}
    dead = []
    for path, text in texts.items():
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', text):
            target, _, anchor = unescape(link).partition("#")
            if re.match(r"[a-z]+:|//", target):
                continue
            file = (path.parent / target).resolve() if target else path
            if not file.exists() or (anchor and file in anchors and unquote(anchor) not in anchors[file]):
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def test_every_verb_explains_itself(capsys) -> None:
    assert run(["--help"]) == DONE
    verbs = ["read", "train", "tune", "export", "evaluate", "compare", "submit", "models", "data"]
    said = capsys.readouterr().out
    assert all(verb in said for verb in verbs)


def test_changelog_has_the_version_or_an_unreleased_section() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {handigit.__version__}" in text or "## Unreleased" in text


def test_pages_name_no_path_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(?:home|root|work|tmp)/", page.read_text(encoding="utf-8")), page.name


def test_messages_in_the_troubleshooting_page_are_those_of_the_program() -> None:
    page = (PROJECT / "docs" / "howto" / "troubleshoot.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    source = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "src" / "handigit").rglob("*.py"))
    for message in rows:
        plain = re.sub(r"this needs \w+|\[\w+\]|'cuda'|auto, cpu", "...", message).replace('"handigit..."', "...")
        for part in plain.split("..."):
            assert part.strip() in source, message


def test_settings_named_in_the_documents_exist() -> None:
    secrets = {f"HANDIGIT_{name.upper()}_FILE" for name in SECRETS}
    known = {f"HANDIGIT_{name.upper()}" for name in Settings.model_fields} | secrets
    for page in PAGES:
        named = set(re.findall(r"HANDIGIT_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= known, page.name
