"""Web pages that need nothing but themselves: plots inside, no script, nothing fetched, light and dark.

A page's content security policy allows pictures inside the page and its one style sheet, by its digest, and nothing
else. It knows templates and plots, not what they say.
"""

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
from handigit.evaluate.canvas import png
from handigit.evaluate.theme import DARK, LIGHT, Theme


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot in both themes, as PNG bytes. `alt` says in words what it shows, for those who do not see it."""

    name: str
    caption: str
    alt: str
    light: bytes
    dark: bytes

    @property
    def light_uri(self) -> str:
        """The light plot as an address that holds the picture itself."""
        return data_uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The dark plot as an address that holds the picture itself."""
        return data_uri(self.dark)

    @property
    def width_px(self) -> int:
        """As the PNG's header says."""
        return int.from_bytes(self.light[16:20], "big")

    @property
    def height_px(self) -> int:
        """As the PNG's header says."""
        return int.from_bytes(self.light[20:24], "big")


def draw(name: str, make: Callable[[Theme], Figure], *, caption: str, alt: str) -> Plot:
    """A plot drawn in both themes."""
    return Plot(name=name, caption=caption, alt=alt, light=png(make(LIGHT)), dark=png(make(DARK)))


def data_uri(picture: bytes) -> str:
    """A PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def render(template: str, *, title: str, **content: Any) -> str:
    """A page as text; whatever is put into it is escaped."""
    environment = Environment(
        loader=PackageLoader("handigit.evaluate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    css = environment.get_template("style.css").render(light=LIGHT, dark=DARK)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    # The style sheet is ours and holds colours of ours only; escaped, its quotation marks would not be CSS.
    return environment.get_template(template).render(title=title, css=Markup(css), policy=policy, **content)  # noqa: S704


def make_room(folder: Path) -> None:
    """Make the folder of a page and of its plots: before the work, so that a wrong place is known at once.

    Raises:
        RunError: a file stands where the folder should be.
    """
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{folder} cannot be a folder: a file stands there; give another for the report") from None


def write_page(folder: Path, name: str, text: str, plots: Sequence[Plot]) -> Path:
    """Write a page, and its plots as plots/NAME-light.png and NAME-dark.png, where there is room; the page's path."""
    for plot in plots:
        (folder / "plots" / f"{plot.name}-light.png").write_bytes(plot.light)
        (folder / "plots" / f"{plot.name}-dark.png").write_bytes(plot.dark)
    page = folder / name
    page.write_text(text, encoding="utf-8")
    return page
