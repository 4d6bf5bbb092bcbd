"""Plots of an evaluation and of a training run, each a Matplotlib figure in a theme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from handigit.evaluate.intervals import wilson
from handigit.evaluate.metrics import ReliabilityBin
from handigit.evaluate.read_rates import ReadRate, RiskCoverage


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by their role.

    `first` is for the subject (validation, truth), `second` for its counterpart; `series` are for many lines.
    """

    name: str
    page: str
    surface: str
    ink: str
    muted: str
    line: str
    first: str
    second: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    page="#ffffff",
    surface="#f5f6f8",
    ink="#1b1f24",
    muted="#59636e",
    line="#dde1e6",
    first="#0b66b0",
    second="#b5500a",
    series=("#0b66b0", "#b5500a", "#00795a", "#a8447f", "#6a5d00", "#4a4f57"),
)
DARK = Theme(
    name="dark",
    page="#15181c",
    surface="#1e2227",
    ink="#e7eaed",
    muted="#9ca6b0",
    line="#363d45",
    first="#62b5f5",
    second="#f0a35a",
    series=("#62b5f5", "#f0a35a", "#3fc79f", "#e59ac6", "#e8dc63", "#aab2bb"),
)
THEMES = (LIGHT, DARK)


WIDTH_INCHES = 4.8
"""Narrow, so that ten-point text is legible when a phone shows the plot 290 px wide."""
DPI = 200
TEXT_POINTS = 10
SMALL_POINTS = 8.5


class Drawing(Figure):
    """A figure that notebooks display automatically, at half its pixels so that it is sharp on any screen."""

    def _repr_png_(self) -> tuple[bytes, dict[str, float]]:
        return png(self), {"width": self.get_figwidth() * DPI / 2}


def new_figure(theme: Theme, *, height_inches: float, width_inches: float = WIDTH_INCHES) -> Drawing:
    """An empty figure on the theme's page colour."""
    return Drawing(figsize=(width_inches, height_inches), dpi=DPI, facecolor=theme.page, layout="constrained")


def style(axes: Axes, theme: Theme, *, x: str = "", y: str = "", grid: bool = True) -> Axes:
    """Minimal axes: no box, faint horizontal lines, text in the theme's colours."""
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
    """Colour map for glyphs: 0 is the page colour, 1 is the ink colour."""
    return LinearSegmentedColormap.from_list("ink", [theme.page, theme.ink])


def text_on(shade: tuple[float, ...], theme: Theme) -> str:
    """The theme's ink or page colour, whichever has the higher contrast on a shade (WCAG 2)."""
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
    """The figure as a small PNG; 128 colours suffice for flat plots with smoothed edges."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB")
    file = BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "PNG")
    return file.getvalue()


Row = Mapping[str, Any]
"""One epoch: epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, learning_rate."""


def class_balance(labels: Int64[np.ndarray, " n"], theme: Theme) -> Figure:
    """Number of samples per digit."""
    counts = np.bincount(labels, minlength=10)
    figure = new_figure(theme, height_inches=2.9)
    axes = style(figure.add_subplot(), theme, x="digit", y="samples")
    bars = axes.bar(range(10), counts, width=0.72, color=theme.first)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=SMALL_POINTS - 1.5, color=theme.muted, padding=2)
    axes.margins(y=0.1)
    axes.set_xticks(range(10))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def intensity(glyphs: UInt8[np.ndarray, "n 28 28"], theme: Theme) -> Figure:
    """Histogram of grey values, 0 (paper) to 255 (ink), on a logarithmic scale."""
    shares, edges = np.histogram(glyphs, bins=32, range=(0, 256), weights=np.full(glyphs.shape, 100 / glyphs.size))
    figure = new_figure(theme, height_inches=2.9)
    axes = style(figure.add_subplot(), theme, x="pixel value, 0 paper to 255 ink", y="share of pixels")
    axes.bar(edges[:-1], shares, width=np.diff(edges) * 0.9, align="edge", color=theme.first)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}%")
    axes.set_xticks([0, 64, 128, 192, 255])
    return figure


def curves(rows: Sequence[Row], theme: Theme) -> Figure:
    """Loss and accuracy, on the training and the validation data, by epoch."""
    figure = new_figure(theme, height_inches=4.6)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    for axes, measure in ((loss, "loss"), (accuracy, "accuracy")):
        style(axes, theme, y=measure)
        _curve(axes, rows, f"train_{measure}", label="training", colour=theme.second, dashes="--")
        _curve(axes, rows, f"validation_{measure}", label="validation", colour=theme.first, dashes="-")
    _by_epoch(accuracy, theme)
    loss.legend(frameon=False, labelcolor=theme.ink, fontsize=SMALL_POINTS, loc="upper right")
    return figure


def _curve(axes: Axes, rows: Sequence[Row], key: str, *, label: str, colour: str, dashes: str) -> None:
    """One line; epochs without this metric are left out."""
    points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
    marker = "o" if len(points) < 15 else ""
    epochs, values = zip(*points, strict=True) if points else ((), ())
    axes.plot(epochs, values, label=label, color=colour, linestyle=dashes, marker=marker, markersize=3.5, linewidth=1.6)


def side_by_side(runs: Sequence[tuple[str, Sequence[Row]]], theme: Theme) -> Figure:
    """Validation loss and accuracy of named runs, by epoch; after six runs the colours repeat, dashed."""
    figure = new_figure(theme, height_inches=5.2 + 0.1 * len(runs))
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    for axes, measure in ((loss, "loss"), (accuracy, "accuracy")):
        style(axes, theme, y=f"validation {measure}")
        for index, (name, rows) in enumerate(runs):
            dashes = ("-", "--", ":", "-.")[index // len(theme.series) % 4]
            colour = theme.series[index % len(theme.series)]
            _curve(axes, rows, f"validation_{measure}", label=name, colour=colour, dashes=dashes)
    _by_epoch(accuracy, theme)
    handles, labels = loss.get_legend_handles_labels()
    look = {"frameon": False, "labelcolor": theme.ink, "fontsize": SMALL_POINTS, "ncols": 2}
    figure.legend(handles, labels, loc="outside lower center", **look)
    return figure


def _by_epoch(axes: Axes, theme: Theme) -> None:
    """The lower axes of curves: whole epochs on x, percent on y."""
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("epoch", color=theme.muted, fontsize=TEXT_POINTS)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def confusion_matrix(confusion: Int64[np.ndarray, "10 10"], theme: Theme) -> Figure:
    """True digits as rows, answers as columns; only mistakes are coloured, by their number."""
    mistakes = confusion - np.diag(np.diag(confusion))
    figure = new_figure(theme, height_inches=4.8)
    axes = style(figure.add_subplot(), theme, x="answer", y="true digit", grid=False)
    # Square roots, so that a single mistake is visible beside fifty.
    strength = np.sqrt(mistakes / max(mistakes.max(), 1))
    shades = LinearSegmentedColormap.from_list("mistakes", [theme.surface, theme.second])
    edges = np.arange(11) - 0.5
    shade = np.where(mistakes, 0.2 + 0.8 * strength, 0)
    axes.pcolormesh(edges, edges, shade, cmap=shades, vmin=0, vmax=1)
    axes.vlines(edges, -0.5, 9.5, color=theme.page, linewidth=2)
    axes.hlines(edges, -0.5, 9.5, color=theme.page, linewidth=2)
    for truth, answer in np.argwhere(confusion):
        count = int(confusion[truth, answer])
        colour = theme.muted if truth == answer else text_on(shades(shade[truth, answer]), theme)
        size = SMALL_POINTS - (1.5 if count > 999 else 0)
        axes.text(answer, truth, str(count), ha="center", va="center", color=colour, fontsize=size)
    axes.set(xlim=(-0.5, 9.5), ylim=(9.5, -0.5), xticks=range(10), yticks=range(10), aspect="equal")
    axes.spines["bottom"].set_visible(False)
    return figure


def calibration(bins: Sequence[ReliabilityBin], theme: Theme) -> Figure:
    """Accuracy by confidence with its 95 % interval, and the number of answers below."""
    figure = new_figure(theme, height_inches=4.6)
    accuracy, amount = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    style(accuracy, theme, y="right answers")
    accuracy.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=":")
    accuracy.text(0.98, 0.04, "dotted: perfectly calibrated", color=theme.muted, fontsize=SMALL_POINTS, ha="right")
    for item in bins:
        likely = wilson(round(item.accuracy * item.count), item.count)
        accuracy.plot([item.confidence] * 2, [likely.low, likely.high], color=theme.line, linewidth=3)
    confidence = [item.confidence for item in bins]
    accuracy.plot(confidence, [item.accuracy for item in bins], color=theme.first, marker="o", markersize=4.5)
    accuracy.set(xlim=(0, 1.02), ylim=(-0.03, 1.04))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    style(amount, theme, x="confidence", y="answers")
    middles = [(item.low + item.high) / 2 for item in bins]
    amount.bar(middles, [item.count for item in bins], width=0.058, color=theme.first)
    amount.set_yscale("log")
    amount.set_ylim(bottom=0.7)
    amount.yaxis.set_major_formatter("{x:,.0f}")
    amount.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def coverage(curve: RiskCoverage, rates: Sequence[ReadRate], theme: Theme) -> Figure:
    """Error among accepted answers by the fraction accepted, with a mark for each target error."""
    figure = new_figure(theme, height_inches=3.4)
    axes = style(figure.add_subplot(), theme, x="answers accepted", y="wrong among them")
    axes.step(curve.coverage, curve.risk, where="post", color=theme.first, linewidth=1.6)
    for rate in (rate for rate in rates if rate.accepted):
        axes.plot(rate.share, rate.observed, marker="o", color=theme.second, markersize=5)
        note = f"{rate.share:.1%} at {rate.error:.1%}"
        axes.text(
            rate.share - 0.01, rate.observed, note, color=theme.ink, fontsize=SMALL_POINTS, ha="right", va="bottom"
        )
    first_mistake = curve.coverage[curve.wrong > 0].min(initial=1.0)
    axes.set_xlim(max(np.floor(first_mistake * 10) / 10 - 0.2, 0.0), 1.01)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return figure


COLUMNS = 10
MISREAD_COLUMNS, MAX_MISREAD = 6, 60
CELL_WIDTH_PX, CELL_HEIGHT_PX = 40, 42
"""Size of a misread glyph with its caption, in the glyph's own pixels."""


def samples(glyphs: UInt8[np.ndarray, "n 28 28"], labels: Int64[np.ndarray, " n"] | None, theme: Theme) -> Figure:
    """Ten glyphs per digit, one row each; without labels the first hundred. The same set gives the same plot."""
    figure = new_figure(theme, height_inches=4.8)
    axes = style(figure.add_subplot(), theme, grid=False)
    sheet = np.zeros((10 * 28, COLUMNS * 28), dtype=np.uint8)
    for row in range(10):
        of_row = np.arange(row * COLUMNS, min((row + 1) * COLUMNS, len(glyphs)))
        shown = of_row if labels is None else np.flatnonzero(labels == row)[:COLUMNS]
        for column, index in enumerate(shown):
            sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28] = glyphs[index]
    axes.imshow(sheet, cmap=ink_colours(theme), vmin=0, vmax=255, interpolation="nearest")
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([] if labels is None else np.arange(10) * 28 + 14, [] if labels is None else [*"0123456789"])
    return figure


def misclassified(
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n 10"],
    theme: Theme,
) -> Figure:
    """Misread digits in the given order, at most sixty, each with true digit, answer and its probability."""
    shown = min(len(glyphs), MAX_MISREAD)
    rows = -(-shown // MISREAD_COLUMNS)
    sheet = np.zeros((rows * CELL_HEIGHT_PX, MISREAD_COLUMNS * CELL_WIDTH_PX), dtype=np.uint8)
    figure = new_figure(theme, height_inches=max(WIDTH_INCHES * sheet.shape[0] / sheet.shape[1], 0.5))
    axes = figure.add_subplot()
    axes.set_axis_off()
    for index in range(shown):
        top, left = index // MISREAD_COLUMNS * CELL_HEIGHT_PX, index % MISREAD_COLUMNS * CELL_WIDTH_PX + 6
        sheet[top : top + 28, left : left + 28] = glyphs[index]
        answer = int(probabilities[index].argmax())
        caption = f"{labels[index]} as {answer}, {probabilities[index, answer]:.0%}"
        axes.text(left + 13.5, top + 33, caption, color=theme.ink, fontsize=SMALL_POINTS - 1, ha="center", va="center")
    axes.imshow(sheet, cmap=ink_colours(theme), vmin=0, vmax=255, interpolation="nearest")
    return figure
