"""MkDocs hooks: pages generated from the program, and links from the documentation to files outside it."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from handigit import Reader
from handigit.cli import app
from handigit.recipe import RECIPES, Recipe
from handigit.web.browser_models import model_files
from handigit.web.pages.layout import STATIC

PROJECT = Path(__file__).parents[1]
READER = STATIC / "handigit"
SOURCE = "https://github.com/handigit/handigit/blob/main/"
_LINK = re.compile(r"(?<=\]\()(?:\.\./)+(?!https?:)([^)#]+)")


def cli_page() -> str:
    """The command-line reference, as `--help` has it."""
    text: str = app.generate_docs(heading_level=1)
    return text.replace("# handigit", "# Command line", 1)


def recipes_page() -> str:
    """The recipes in the package, and every field of a recipe with its default."""
    lines = [
        "# Recipes",
        "",
        "`handigit train NAME` trains one of these. Each field below is a flag of that command.",
        "",
    ]
    lines += ["| recipe | trains | differences from the defaults |", "|---|---|---|"]
    for path in sorted(RECIPES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        about = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        fields = ", ".join(f"`{name} = {value}`" for name, value in tomllib.loads(text).items())
        lines.append(f"| `{path.stem}` | {about} | {fields} |")
    lines += ["", "## Fields", "", "| field | default | meaning |", "|---|---|---|"]
    source = (RECIPES.parent / "recipe.py").read_text(encoding="utf-8")
    for item in dataclasses.fields(Recipe):
        after = source.split(f"\n    {item.name}: ")[1]
        about = " ".join(after.split('"""')[1].split())
        lines.append(f"| `{item.name}` | `{item.default!r}` | {about} |")
    return "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {
        "reference/cli.md": cli_page(),
        "reference/recipes.md": recipes_page(),
        "changelog.md": (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    for name, asset in demo_files().items():
        files.append(File.generated(config, name, content=asset))
    return files


def demo_files() -> dict[str, bytes]:
    """What the live demo loads: the reader for browsers, the app's pad, and the models in the package."""
    reader = {f"assets/handigit/{path.relative_to(READER).as_posix()}": path for path in READER.rglob("*.*")}
    pad = {f"assets/app/{name}": STATIC / name for name in ("pad.js", "strokes.js", "dom.js")}
    models = {f"assets/models/{name}": path for name, path in model_files(Reader()).items()}
    return {name: path.read_bytes() for name, path in (reader | pad | models).items()}


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links that leave docs/ to the repository."""
    folder = PROJECT / "docs" / Path(page.file.src_uri).parent

    def outside(match: re.Match[str]) -> str:
        target = (folder / match[0]).resolve()
        inside = target.is_relative_to(PROJECT / "docs")
        return match[0] if inside or not target.exists() else SOURCE + target.relative_to(PROJECT).as_posix()

    return _LINK.sub(outside, markdown)
