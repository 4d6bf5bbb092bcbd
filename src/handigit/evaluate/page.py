"""HTML pages with plots in a light and a dark theme: drawing, rendering, writing."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from handigit.errors import RunError
from handigit.evaluate.plots import DARK, LIGHT, Theme, png


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot in both themes, as PNG bytes; `alt` describes it in words."""

    name: str
    caption: str
    alt: str
    light: bytes
    dark: bytes

    @property
    def light_uri(self) -> str:
        """The light plot as a data URI."""
        return data_uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The dark plot as a data URI."""
        return data_uri(self.dark)

    @property
    def width_px(self) -> int:
        """From the PNG's header."""
        return int.from_bytes(self.light[16:20], "big")

    @property
    def height_px(self) -> int:
        """From the PNG's header."""
        return int.from_bytes(self.light[20:24], "big")


def draw(name: str, make: Callable[[Theme], Figure], *, caption: str, alt: str) -> Plot:
    """A plot drawn in both themes."""
    return Plot(name=name, caption=caption, alt=alt, light=png(make(LIGHT)), dark=png(make(DARK)))


def data_uri(picture: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def render(template: str, *, title: str, **content: Any) -> str:
    """A page as text; inserted values are escaped."""
    environment = Environment(
        loader=PackageLoader("handigit.evaluate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    css = environment.get_template("style.css").render(light=LIGHT, dark=DARK)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    # The style sheet contains only our own colours; escaping its quotation marks would break it.
    return environment.get_template(template).render(title=title, css=Markup(css), policy=policy, **content)  # noqa: S704


def make_folders(folder: Path) -> None:
    """Make the folders of a page and its plots, before the work, so that a bad path fails at once.

    Raises:
        RunError: the folder cannot be made.
    """
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{folder} is a file, not a folder; choose another folder for the report") from None


def write_page(folder: Path, name: str, text: str, plots: Sequence[Plot]) -> Path:
    """Write a page, and its plots as plots/NAME-light.png and NAME-dark.png; returns the page's path."""
    for plot in plots:
        (folder / "plots" / f"{plot.name}-light.png").write_bytes(plot.light)
        (folder / "plots" / f"{plot.name}-dark.png").write_bytes(plot.dark)
    page = folder / name
    page.write_text(text, encoding="utf-8")
    return page
