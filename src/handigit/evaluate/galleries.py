"""Pictures of glyphs in rows: samples of each digit, and digits that were misread.

It draws glyphs as they would stand on the theme's page, and knows nothing of files or pages.
"""

import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib.figure import Figure

from handigit.evaluate.canvas import SMALL_POINTS, WIDTH_INCHES, ink_colours, new_figure, style
from handigit.evaluate.theme import Theme

COLUMNS = 10
MISREAD_COLUMNS, MOST_MISREAD = 6, 60
CELL_WIDTH_PX, CELL_HEIGHT_PX = 40, 42
"""Of a misread glyph with the caption under it, in the glyph's own pixels."""


def samples(glyphs: UInt8[np.ndarray, "n 28 28"], labels: Int64[np.ndarray, " n"] | None, theme: Theme) -> Figure:
    """Ten glyphs of each digit, a row a digit; without labels the first hundred. Always the same for the same set."""
    figure = new_figure(theme, height_inches=4.8)
    axes = style(figure.add_subplot(), theme, grid=False)
    sheet = np.zeros((10 * 28, COLUMNS * 28), dtype=np.uint8)
    for row in range(10):
        chosen = _row(len(glyphs), row) if labels is None else np.flatnonzero(labels == row)[:COLUMNS]
        for column, index in enumerate(chosen):
            sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28] = glyphs[index]
    axes.imshow(sheet, cmap=ink_colours(theme), vmin=0, vmax=255, interpolation="nearest")
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([] if labels is None else np.arange(10) * 28 + 14, [] if labels is None else [*"0123456789"])
    return figure


def _row(n: int, row: int) -> Int64[np.ndarray, " k"]:
    """The indices in a row where there are no labels to sort by."""
    return np.arange(min(row * COLUMNS, n), min((row + 1) * COLUMNS, n), dtype=np.int64)


def misclassified(
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n 10"],
    theme: Theme,
) -> Figure:
    """Misread digits in the order given, at most sixty: true digit, answer and its probability under each."""
    shown = min(len(glyphs), MOST_MISREAD)
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
