"""A data set drawn in the terminal."""

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from handigit.data import Dataset
from handigit.data.show import choose_samples, describe, half_blocks, summarise


def striped(count: int = 12, *, labels: bool = True) -> Dataset:
    """Glyph i has i + 1 rows of full ink, so that every figure can be counted by hand."""
    glyphs = np.zeros((count, 28, 28), np.uint8)
    for i in range(count):
        glyphs[i, : i + 1] = 255
    return Dataset("stripes", glyphs, np.arange(count) % 10 if labels else None, ("3/x.png: is <empty>",))


def printed(dataset: Dataset, *, samples: int = 4, seed: int = 0, colours: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=colours, color_system="truecolor" if colours else None)
    console.print(describe(dataset, samples=samples, seed=seed))
    return out.getvalue()


def test_figures_are_counted() -> None:
    summary = summarise(striped())
    assert [bar.value for bar in summary.balance] == [2, 2, *[1] * 8]
    assert [bar.fraction for bar in summary.balance[:3]] == [1, 1, 0.5]
    assert [bar.value for bar in summary.intensity] == [0] * 7 + [28 * sum(range(1, 13))]
    assert summary.inked == pytest.approx(sum(range(1, 13)) / 28 / 12)
    facts = dict(summary.facts)
    assert facts["fingerprint"] == striped().fingerprint
    assert facts["duplicates"] == "0 exact"


def test_an_empty_set_can_be_shown() -> None:
    nothing = Dataset("nothing", np.zeros((0, 28, 28), np.uint8), None)
    assert summarise(nothing).inked == 0
    assert "0 of 28x28" in printed(nothing)


def test_samples_depend_on_the_seed_and_are_sorted_by_label() -> None:
    one = striped()
    chosen = choose_samples(one, count=6, seed=1)
    assert np.array_equal(chosen, choose_samples(one, count=6, seed=1))
    assert not np.array_equal(chosen, choose_samples(one, count=6, seed=2))
    assert len(set(chosen.tolist())) == 6
    assert np.all(np.diff(one.labels[chosen]) >= 0)
    assert len(choose_samples(one, count=100, seed=0)) == len(one)


def test_the_terminal_shows_every_figure_and_fits() -> None:
    text = printed(striped())
    for expected in (
        "stripes",
        "12 of 28x28",
        "class balance",
        striped().fingerprint,
        "3/x.png: is <empty>",
        "224-255",
    ):
        assert expected in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "class balance" not in printed(striped(labels=False))


def test_a_glyph_in_the_terminal_has_its_shape_without_colours_and_its_greys_with() -> None:
    glyph = np.zeros((28, 28), np.uint8)
    glyph[:2] = 255  # the upper half of the first line
    glyph[6:8] = 200  # the lower half of the second
    glyph[8:12, :14] = 150  # the left half of the third
    lines = half_blocks(glyph).plain.split("\n")
    assert lines == ["▀" * 14, "▄" * 14, "█" * 7 + " " * 7, *[" " * 14] * 4]
    assert "38;2;255;255;255" in printed(striped(), colours=True)
