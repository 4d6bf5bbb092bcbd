"""Synthetic handwriting: reproducible, normalised like every glyph, and legible; digits and non-digits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handigit.errors import DataError
from handigit.images import find_digit
from handigit.synth import Camera, Paper, Pen, Scene, Writer, contact_sheet, digits, nondigits, picture
from handigit.synth.camera import photograph
from handigit.synth.ink import Ink, coverage, glyph
from handigit.synth.nondigits import CLEAR_MARKS, FOREIGN, KINDS, LATIN, MIRROR, OVER, TURNS, cut, invented
from handigit.synth.photo import write_text
from handigit.synth.shapes import DIGITS, LOOK_ALIKES, LOWER, SIGNS, join_letter
from handigit.synth.strokes import combine, parse_figure, smooth_stroke
from handigit.synth.writer import write, write_digit

SEEDS = st.integers(0, 2**32 - 1)


def steady_writer() -> Writer:
    """A writer who copies every figure exactly."""
    return Writer(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, np.zeros((96, 2)), np.zeros((3, 2)), np.zeros(10), 0.0)


def scene(paper: Paper, camera: Camera) -> Scene:
    """A felt pen in a steady hand on this paper, seen by this camera."""
    return Scene(steady_writer(), Pen("felt", 0.12, 0.0, 1.0, 0.0), paper, camera, ink=(20, 20, 30))


def ink_of(seed: int) -> Ink:
    rng = np.random.default_rng(seed)
    return write_digit(int(rng.integers(10)), Writer.draw(rng), Pen.draw(rng), rng)


# Paths


def test_a_path_passes_through_its_points_and_turns_at_corners() -> None:
    flag = parse_figure("0,25 22,0! 22,100")
    path = flag.sharp @ flag.points
    for point in flag.points:
        assert np.abs(path - point).sum(axis=1).min() < 1e-9
    assert flag.ends == (len(path),)
    assert np.allclose(path[path[:, 1] > 0.25 + 1e-9][:, 0], 0.22)  # below the flag the stem is straight


def test_strokes_stay_apart() -> None:
    seven = parse_figure("0,0 60,0! 30,100 / 10,50 50,50")
    bar = (seven.sharp @ seven.points)[seven.ends[0] : seven.ends[1]]
    assert np.allclose(bar[:, 1], 0.5)
    assert len(seven.ends) == 2


def test_an_assembled_figure_has_the_paths_of_its_parts() -> None:
    flag, bar = parse_figure("0,25 22,0! 22,100"), parse_figure("10,50 50,50")
    both = combine([(flag, flag.points), (bar, bar.points + 1)])
    first, second = np.split(both.sharp @ both.points, both.ends[:-1])
    assert np.allclose(first, flag.sharp @ flag.points)
    assert np.allclose(second, bar.sharp @ bar.points + 1)


@given(st.integers(2, 12), SEEDS)
@settings(max_examples=25)
def test_softening_keeps_the_ends_and_a_moved_figure_gives_a_moved_path(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((count, 2))
    shape = smooth_stroke(points)
    for matrix in (shape.sharp, shape.soft):
        assert np.allclose((matrix @ points)[[0, -1]], points[[0, -1]], atol=1e-6)
        assert np.allclose(matrix @ (points + 3), matrix @ points + 3)


@pytest.mark.parametrize("notation", ["0,0", "0,0 1", "0,0 a,b", "0,0 1,1 / "])
def test_a_bad_notation_is_named(notation: str) -> None:
    with pytest.raises(ValueError, match="is not two or more points"):
        parse_figure(notation)


# Ink and glyphs


@given(SEEDS)
@settings(max_examples=20)
def test_a_glyph_is_normalised_as_mnist_is(seed: int) -> None:
    drawn = glyph(ink_of(seed)).astype(float)
    rows, columns = np.flatnonzero(drawn.max(axis=1) > 8), np.flatnonzero(drawn.max(axis=0) > 8)
    inked = [np.flatnonzero(drawn.max(axis=axis) > 32) for axis in (0, 1)]
    assert max(map(np.ptp, inked)) + 1 in (20, 21)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 22  # one in 600 has a sixteenth of coverage beyond either end
    middle = np.array([np.arange(28) @ drawn.sum(axis=1), np.arange(28) @ drawn.sum(axis=0)]) / drawn.sum()
    touches_edge = rows[0] <= 1 or rows[-1] >= 26 or columns[0] <= 1 or columns[-1] >= 26
    assert np.abs(middle - 14).max() <= 0.51 or touches_edge


def test_glyphs_agree_with_the_normalisation_of_the_same_ink() -> None:
    differences = []
    for seed in range(20):
        ink = ink_of(seed)
        x, y = 80 - 100 * ink.extent().mean(axis=0)
        found = find_digit(255 - coverage(ink.transformed(100, (float(x), float(y))), 160, 160))
        assert found is not None
        differences.append(np.abs(found.glyph - glyph(ink) / 255).mean())
    assert np.median(differences) < 0.03  # a shift by one pixel costs about 0.06
    assert max(differences) < 0.1


def test_a_thin_pens_strokes_are_as_wide_as_in_normalised_pictures() -> None:
    rng = np.random.default_rng(0)
    hair = Pen("ballpoint", 0.03, 0.0, 1.0, 0.0)
    ratios = []
    for value in range(10):
        ink = write_digit(value, steady_writer(), hair, rng)
        x, y = 160 - 200 * ink.extent().mean(axis=0)
        found = find_digit(255 - coverage(ink.transformed(200, (float(x), float(y))), 320, 320))
        assert found is not None
        ratios.append(glyph(ink).sum() / 255 / found.glyph.sum())
    assert abs(np.mean(ratios) - 1) < 0.08  # left thin, they would have half the ink
    assert max(ratios) < 1.25


@given(SEEDS)
@settings(max_examples=25)
def test_the_extent_holds_all_ink(seed: int) -> None:
    ink = ink_of(seed).transformed(40, (60.0, 60.0))
    (left, top), (right, bottom) = ink.extent()
    rows, columns = np.nonzero(coverage(ink, 160, 160) > 64)
    assert left - 1.5 <= columns.min() <= columns.max() <= right + 1.5
    assert top - 1.5 <= rows.min() <= rows.max() <= bottom + 1.5


def test_one_writer_varies_less_than_many_writers() -> None:
    def spread(make_writers: int) -> float:
        rng = np.random.default_rng(5)
        writers = [Writer.draw(rng) for _ in range(make_writers)]
        pen, three = Pen("felt", 0.12, 0.0, 1.0, 0.0), parse_figure(DIGITS[3][0].strokes)
        drawn = [glyph(write(three, writers[i % make_writers], pen, rng)).astype(float) for i in range(24)]
        return float(np.std(drawn, axis=0).mean())

    assert spread(1) < 0.8 * spread(24)


def test_smoothing_keeps_the_ends_and_stays_within_the_corners() -> None:
    bent = Ink((np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]),), (np.array([0.1, 0.2, 0.1]),))
    smooth = bent.smooth()
    assert np.array_equal(smooth.strokes[0][[0, -1]], bent.strokes[0][[0, -1]])
    assert len(smooth.strokes[0]) == len(smooth.widths[0]) > 3
    assert not (smooth.strokes[0] == [1.0, 0.0]).all(axis=1).any()
    assert (smooth.extent()[0] >= bent.extent()[0]).all()


# Sets


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = digits(20, seed=7), digits(20, seed=7), digits(20, seed=8)
    assert first.glyphs.tobytes() == again.glyphs.tobytes()
    assert first.kinds == again.kinds
    assert first.glyphs.tobytes() != other.glyphs.tobytes()
    assert nondigits(12, seed=7).glyphs.tobytes() == nondigits(12, seed=7).glyphs.tobytes()


def test_digits_are_balanced_named_and_never_empty() -> None:
    drawn = digits(60, seed=1)
    assert np.bincount(drawn.labels).tolist() == [6] * 10
    assert (drawn.glyphs.max(axis=(1, 2)) > 60).all()
    for label, kind in zip(drawn.labels, drawn.kinds, strict=True):
        assert kind.split(" ", 1)[1] in {allograph.name for allograph in DIGITS[int(label)]}


def test_every_allograph_has_a_writer() -> None:
    rng = np.random.default_rng(0)
    writers = [
        replace(steady_writer(), preference=np.full(10, preference)) for preference in np.linspace(0, 0.999, 150)
    ]
    for value, allographs in DIGITS.items():
        assert {writer.allograph(value, rng).name for writer in writers} == {a.name for a in allographs}
        assert len({allograph.name for allograph in allographs}) == len(allographs)


def test_a_writer_can_be_given_a_preference() -> None:
    rng = np.random.default_rng(0)
    for value, allographs in DIGITS.items():
        for allograph in allographs:
            assert Writer.draw(rng).preferring(value, allograph.name).allograph(value, rng) is allograph
    with pytest.raises(DataError, match=r"no 7 named 'round'; there are: plain, straight"):
        steady_writer().preferring(7, "round")


def test_nondigits_have_no_label_and_look_alikes_are_drawn_only_on_request() -> None:
    mixed = nondigits(25, seed=2)
    assert (mixed.labels == -1).all()
    assert len(set(mixed.kinds)) > 3
    assert "look_alike" not in mixed.kinds
    assert set(SIGNS) > LOOK_ALIKES


def test_no_other_kind_contains_look_alikes_or_a_digits_shape() -> None:
    clear = {*LATIN, *CLEAR_MARKS, *FOREIGN}
    assert clear | LOOK_ALIKES == set(SIGNS)
    assert not clear & LOOK_ALIKES
    shapes = {shape for sign in clear for shape in SIGNS[sign]}
    assert not shapes & {allograph.strokes for allographs in DIGITS.values() for allograph in allographs}


def test_a_joined_letter_has_entry_and_exit_strokes() -> None:
    plain = parse_figure(LOWER["n"][0])
    led = parse_figure(join_letter(LOWER["n"][0], entry=True, leave=True))
    assert len(led.points) == len(plain.points) + 4
    assert led.points[0][1] > plain.points[0][1]
    assert led.points[0, 0] < plain.points[:, 0].min()
    assert led.points[-1, 0] > plain.points[:, 0].max()
    assert join_letter(LOWER["r"][0], entry=False, leave=True) == LOWER["r"][0]  # it ends high


def test_no_turn_leaves_a_digit() -> None:
    for values, matrix in TURNS:
        assert not np.allclose(matrix, np.eye(2))
        assert np.isclose(abs(np.linalg.det(matrix)), 1)
        assert not set(values) & set("018")  # turned or mirrored, they are what they were
        if np.array_equal(matrix, OVER):
            assert not set(values) & set("2569")  # a 6 becomes a 9; a 2 and a 5 stay
        if np.array_equal(matrix, MIRROR):
            assert not set(values) & set("25")  # each becomes the other


def test_half_a_digit_is_at_most_about_half_of_it() -> None:
    pen, writer = Pen("felt", 0.1, 0.0, 1.0, 0.0), steady_writer()
    heights = []
    for seed in range(40):
        width, height = np.ptp(cut(writer, pen, np.random.default_rng(seed)).extent(), axis=0)
        heights.append(height)
        assert min(width / 0.9, height) < 0.65
    assert min(heights) < 0.6


def test_invented_characters_have_many_strokes_or_many_turns() -> None:
    pen = Pen("felt", 0.1, 0.0, 1.0, 0.0)
    for seed in range(40):
        ink = invented(steady_writer(), pen, np.random.default_rng(seed))
        turns = np.diff(np.sign(np.diff(ink.strokes[0], axis=0)), axis=0).any(axis=1).sum()
        assert len(ink.strokes) >= 3 or turns >= 4, seed


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_nondigit_can_be_drawn_and_pictured(kind: str) -> None:
    drawn = nondigits(2, seed=2, kinds=[kind])
    assert drawn.kinds == (kind, kind)
    assert (drawn.glyphs.max(axis=(1, 2)) > 40).all()
    assert picture(kind, seed=1, size_px=(48, 64)).box is not None


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"named 'doodle'; there are: letter, scribble"):
        nondigits(1, seed=0, kinds=["doodle"])


def test_a_contact_sheet_holds_each_glyph_at_its_place() -> None:
    drawn = digits(7, seed=3)
    sheet = contact_sheet(drawn.glyphs, columns=4)
    assert sheet.shape == (2 * 32, 4 * 32)
    assert np.array_equal(255 - sheet[34:62, 66:94], drawn.glyphs[6])
    assert contact_sheet(drawn.glyphs, columns=4, labels=drawn.labels.tolist()).shape[0] > sheet.shape[0]


# Pictures


def test_a_picture_is_reproducible_and_has_the_box_of_its_ink() -> None:
    first, again = (picture(4, seed=3, scene=scene(Paper(), Camera())) for _ in range(2))
    assert first.pixels.tobytes() == again.pixels.tobytes()
    box = first.box
    assert box is not None
    dark = np.argwhere(first.pixels.mean(axis=2) < 128)
    assert (
        np.abs(
            np.concatenate([dark.min(axis=0), dark.max(axis=0) + 1]) - [box.top, box.left, box.bottom, box.right]
        ).max()
        <= 2
    )


def test_an_empty_picture_has_no_ink_and_no_box() -> None:
    blank = picture("", seed=0, scene=scene(Paper(texture=1), Camera()))
    assert blank.box is None
    assert blank.pixels.min() > 220


@pytest.mark.parametrize("ruling", ["ruled", "squared", "dotted", "comb"])
def test_every_ruling_prints_lines(ruling: str) -> None:
    plain, lined = Paper(texture=0), Paper(texture=0, ruling=ruling)  # type: ignore[arg-type]
    without, with_lines = (picture("", seed=0, scene=scene(paper, Camera())).pixels for paper in (plain, lined))
    assert without.min() == with_lines.max() - 2 or without.mean() > with_lines.mean()
    assert np.abs(without.astype(int) - with_lines).max() > 60


def test_a_camera_dims_blurs_and_keeps_the_size() -> None:
    page = np.full((60, 80, 3), 240, np.uint8)
    page[20:40, 30:50] = 20
    seen = photograph(page, Camera(0.4, 0.3, 0.03, 1.5, 4.0, 0.7, 60), np.random.default_rng(0))
    assert seen.shape == page.shape
    assert seen.mean() < page.mean()
    assert np.ptp(seen[2:-2, 2:-2].astype(int)) < 220
    assert np.array_equal(photograph(page, Camera(), np.random.default_rng(0)), page)


def test_text_is_written_from_left_to_right() -> None:
    rng = np.random.default_rng(0)
    pen = Pen("felt", 0.1, 0.0, 1.0, 0.0)
    one, many = (write_text(text, steady_writer(), pen, rng).extent() for text in ("7", "7 07"))
    assert np.ptp(many, axis=0)[0] > 3 * np.ptp(one, axis=0)[0]


@pytest.mark.parametrize(("text", "message"), [("7龍", "no strokes for '龍'"), ("  ", "nothing to write")])
def test_text_without_strokes_is_an_error(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        picture(text, seed=0)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_signs_shapes_are_different_strokes_of_a_digits_size(sign: str) -> None:
    assert len(set(SIGNS[sign])) == len(SIGNS[sign]) > 0
    for notation in SIGNS[sign]:
        strokes = [stroke.replace("!", "").split() for stroke in notation.split("/")]
        assert min(map(len, strokes)) >= 2
        points = np.array([word.split(",") for stroke in strokes for word in stroke], float)
        assert 45 < np.ptp(points, axis=0).max() < 130
