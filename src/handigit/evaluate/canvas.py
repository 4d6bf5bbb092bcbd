"""What all plots share: a figure in a theme, calm axes, and the way to PNG bytes.

Matplotlib's object-oriented interface only: no pyplot, no global state, so plots can be drawn in any thread.
It knows nothing of what is plotted.
"""

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from handigit.evaluate.theme import Theme

WIDTH_INCHES = 4.8
"""Narrow, so that ten-point text can still be read when a phone shows the plot 290 px wide."""
DPI = 200
TEXT_POINTS = 10
SMALL_POINTS = 8.5


class Drawing(Figure):
    """A figure that a notebook shows by itself, at half its pixels so that it is sharp on any screen."""

    def _repr_png_(self) -> tuple[bytes, dict[str, float]]:
        return png(self), {"width": self.get_figwidth() * DPI / 2}


def new_figure(theme: Theme, *, height_inches: float, width_inches: float = WIDTH_INCHES) -> Drawing:
    """An empty figure on the theme's page colour."""
    return Drawing(figsize=(width_inches, height_inches), dpi=DPI, facecolor=theme.page, layout="constrained")


def style(axes: Axes, theme: Theme, *, x: str = "", y: str = "", grid: bool = True) -> Axes:
    """Calm axes: no box, faint lines across, text in the theme's colours."""
    axes.set_facecolor(theme.page)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.muted)
    axes.tick_params(colors=theme.muted, labelsize=SMALL_POINTS, length=0, which="both")
    axes.set_xlabel(x, color=theme.muted, fontsize=TEXT_POINTS)
    axes.set_ylabel(y, color=theme.muted, fontsize=TEXT_POINTS)
    if grid:
        axes.grid(visible=True, axis="y", color=theme.line, linewidth=0.8)
    return axes


def ink_colours(theme: Theme) -> LinearSegmentedColormap:
    """Glyphs as they would stand on the theme's page: 0 is paper, 1 is ink."""
    return LinearSegmentedColormap.from_list("ink", [theme.page, theme.ink])


def text_on(shade: tuple[float, ...], theme: Theme) -> str:
    """The theme's ink or page colour, whichever is read more easily on a shade (WCAG 2's contrast of luminances)."""
    ground = luminance(shade)
    ink, page = (luminance(to_rgb(colour)) for colour in (theme.ink, theme.page))
    light, dark = max(ink, page), min(ink, page)
    is_dark_better = (ground + 0.05) / (dark + 0.05) > (light + 0.05) / (ground + 0.05)
    return theme.ink if is_dark_better == (ink < page) else theme.page


def luminance(shade: tuple[float, ...]) -> float:
    """Relative luminance of sRGB in 0..1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shade[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def png(figure: Figure) -> bytes:
    """The figure as a small PNG: 128 colours are enough for flat plots with smoothed edges."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB")
    file = BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "PNG")
    return file.getvalue()
