"""Figures, plots and reports: known values, what comes back from JSON, and pages that stand alone."""

import json
import subprocess
import sys
import threading
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_hex, to_rgb
from PIL import Image
from rich.console import Console

from handigit.errors import BadDataFile, DataError, RunError
from handigit.evaluate import (
    DISPUTED_MNIST,
    Scores,
    calibration_error,
    clopper_pearson,
    floor_at_loss,
    plots,
    read_rate,
    read_rate_at,
    read_rate_of,
    risk_coverage,
    score,
    wilson,
)
from handigit.evaluate.compare import RunSummary, compare, differing, lines, write_comparison
from handigit.evaluate.plots import DARK, LIGHT, THEMES, luminance, png, text_on
from handigit.evaluate.report import Evaluation, describe_scores, write_data_report, write_report

# --- intervals


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (0, 100, 0.0, 0.0362166926),  # R: binom.test(0, 100)$conf.int
        (5, 100, 0.0164318792, 0.1128349111),  # R: binom.test(5, 100)$conf.int
        (10, 10, 0.6915028922, 1.0),
        (1, 1000, 0.0000253175, 0.0055589244),
    ],
)
def test_clopper_pearson_agrees_with_published_values(count: int, n: int, low: float, high: float) -> None:
    interval = clopper_pearson(count, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=2e-9)


def test_wilson_agrees_with_the_worked_example_of_newcombe() -> None:
    interval = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


@given(n=st.integers(1, 300), share=st.floats(0, 1))
def test_intervals_contain_the_observed_fraction_and_mirror(n: int, share: float) -> None:
    count = round(share * n)
    for interval in (wilson, clopper_pearson):
        found, mirrored = interval(count, n), interval(n - count, n)
        assert found.low - 1e-12 <= count / n <= found.high + 1e-12
        assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@pytest.mark.parametrize(("count", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_interval_of_an_impossible_count_is_refused(count: int, n: int) -> None:
    with pytest.raises(DataError, match=f"{count} out of {n}"):
        wilson(count, n)


# --- scores

probabilities_of = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.integers(0, 9)),
        arrays(np.float32, (n, 10), elements=st.floats(0.0009765625, 1, width=32)),
    )
)


def answers(digits: list[int], confidence: list[float]) -> np.ndarray:
    """Probabilities with the given answers; the rest is spread over the other nine digits."""
    spread = np.repeat((1 - np.array(confidence, dtype=np.float32))[:, None] / 9, 10, axis=1)
    spread[np.arange(len(digits)), digits] = confidence
    return spread


@pytest.fixture(scope="module")
def example() -> tuple[np.ndarray, np.ndarray]:
    """Eight labels, of which the answers get six: a 7 is read as 1 at 90 %, a 3 as 5 at 60 %."""
    labels = np.array([0, 1, 1, 7, 7, 3, 3, 5])
    return labels, answers([0, 1, 1, 1, 7, 5, 3, 5], [0.99, 0.98, 0.95, 0.9, 0.8, 0.6, 0.7, 0.97])


def test_scores_count_correct_answers_and_confusions(example: tuple[np.ndarray, np.ndarray]) -> None:
    scores = score(*example)
    assert (scores.n, scores.accuracy, scores.misclassified) == (8, 0.75, (3, 5))
    assert [(p.truth, p.answer, p.count) for p in scores.pairs] == [(3, 5, 1), (7, 1, 1)]
    assert scores.confusion[7, 1] == scores.confusion[3, 5] == 1
    assert scores.classes[1].precision == pytest.approx(2 / 3)
    assert scores.classes[7].recall == 0.5
    assert scores.classes[7].f1 == pytest.approx(2 / 3)
    assert scores.classes[9].support == 0
    assert scores.macro.recall == pytest.approx((1 + 1 + 0.5 + 0.5 + 1) / 5)


def test_losses_match_the_textbook() -> None:
    labels = np.array([2, 4])
    scores = score(labels, answers([2, 0], [0.91, 0.82]))
    assert scores.nll == pytest.approx(-(np.log(0.91) + np.log(0.02)) / 2, rel=1e-5)
    first = (1 - 0.91) ** 2 + 9 * 0.01**2
    second = 0.82**2 + (1 - 0.02) ** 2 + 8 * 0.02**2
    assert scores.brier == pytest.approx((first + second) / 2, rel=1e-5)


def test_calibration_error_is_the_gap_weighted_by_answers() -> None:
    labels = np.array([1, 1, 1, 1])
    scores = score(labels, answers([1, 1, 1, 0], [0.95, 0.95, 0.95, 0.55]))
    assert [item.count for item in scores.reliability] == [1, 3]
    assert scores.calibration_error == pytest.approx((3 * 0.05 + 1 * 0.55) / 4, abs=1e-6)


def test_certain_mistake_costs_a_finite_loss() -> None:
    assert score(np.array([3]), np.eye(10)[[4]]).nll == pytest.approx(27.631, abs=1e-3)


def test_masked_labels_leave_only_their_own_accuracy(example: tuple[np.ndarray, np.ndarray]) -> None:
    scores = score(*example, masked=[3])
    assert (scores.accuracy, scores.masked_accuracy) == (0.75, pytest.approx(6 / 7))
    assert score(*example).masked_accuracy == 0.75


def test_fifteen_test_labels_are_disputed() -> None:
    assert len(set(DISPUTED_MNIST)) == 15
    assert 0 <= min(DISPUTED_MNIST) < max(DISPUTED_MNIST) < 10_000


@given(sample=probabilities_of)
def test_scores_survive_json(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, weights = sample
    scores = score(labels, weights / weights.sum(axis=1, keepdims=True), masked=[0] if len(labels) > 1 else [])
    assert Scores.from_dict(json.loads(json.dumps(scores.as_dict()))) == scores


@given(sample=probabilities_of)
def test_scores_do_not_depend_on_the_order_of_the_set(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, weights = sample
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float64)
    ahead, back = score(labels, probabilities), score(labels[::-1].copy(), probabilities[::-1].copy())
    assert ahead.accuracy == back.accuracy
    assert ahead.pairs == back.pairs
    assert ahead.calibration_error == pytest.approx(back.calibration_error)
    assert ahead.confusion.sum() == len(labels)


def test_scores_of_another_shape_are_refused(example: tuple[np.ndarray, np.ndarray]) -> None:
    values = score(*example).as_dict()
    del values["macro"]
    with pytest.raises(BadDataFile, match="macro"):
        Scores.from_dict(values)


@pytest.mark.parametrize(
    ("labels", "probabilities", "masked", "words"),
    [
        ([], np.zeros((0, 10)), (), "0 labels"),
        ([10], np.eye(10)[[1]], (), "label 10 at index 0"),
        ([1, -2], np.eye(10)[[1, 1]], (), "label -2 at index 1"),
        ([1], np.arange(10.0)[None], (), "not logits"),
        ([1], np.full((1, 10), np.nan), (), "row 0 sums to nan"),
        ([1], np.array([[1.5, -0.5] + [0.0] * 8]), (), "negative"),
        ([1, 2], np.eye(10)[[1, 2]], (2,), "masked index 2"),
        ([1], np.eye(10)[[1]], (0,), "all 1 labels are masked"),
    ],
)
def test_invalid_input_is_refused(
    labels: list[int], probabilities: np.ndarray, masked: tuple[int, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        score(np.array(labels, dtype=np.int64), probabilities, masked=masked)


# --- risk and coverage


def test_read_rate_is_the_largest_within_the_error(example: tuple[np.ndarray, np.ndarray]) -> None:
    strict, lax = read_rate(*example, error=0.0), read_rate(*example, error=0.2)
    assert (strict.accepted, strict.wrong) == (4, 0)
    assert (lax.accepted, lax.wrong) == (7, 1)
    assert strict.share == 0.5
    assert strict.threshold == pytest.approx(0.95)
    assert strict.bound.high == pytest.approx(1 - 0.025 ** (1 / 4))


def test_read_rate_accepts_ties_together() -> None:
    rate = read_rate(np.array([1, 1, 1]), answers([1, 1, 2], [0.8, 0.8, 0.8]), error=0.1)
    assert (rate.accepted, rate.threshold) == (0, None)
    assert (rate.share, rate.observed) == (0.0, 0.0)


@given(sample=probabilities_of, error=st.floats(0, 1))
def test_read_rate_meets_its_target(sample: tuple[np.ndarray, np.ndarray], error: float) -> None:
    labels, weights = sample
    rate = read_rate(labels, weights, error=error)
    if rate.threshold is not None:
        accepted = weights.max(axis=1) >= np.float32(rate.threshold)
        assert accepted.sum() == rate.accepted
        assert (weights.argmax(axis=1) != labels)[accepted].sum() == rate.wrong
    assert rate.wrong <= error * rate.accepted


@given(sample=probabilities_of)
def test_coverage_rises_to_all_answers(sample: tuple[np.ndarray, np.ndarray]) -> None:
    curve = risk_coverage(*sample)
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.thresholds) < 0).all()
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == (sample[1].argmax(axis=1) != sample[0]).mean()


def test_error_outside_0_to_1_is_refused(example: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(DataError, match="error = 2"):
        read_rate(*example, error=2.0)


@given(sample=probabilities_of, error=st.floats(0, 1))
def test_read_rate_needs_only_correctness_and_confidence(sample: tuple[np.ndarray, np.ndarray], error: float) -> None:
    labels, weights = sample
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    right, confidence = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
    rate = read_rate(labels, probabilities, error=error)
    assert read_rate_of(right, confidence, error=error) == rate
    if rate.threshold is not None:
        assert read_rate_at(right, confidence, threshold=rate.threshold, error=error) == rate
    assert calibration_error(right, confidence.astype(np.float64)) == pytest.approx(
        score(labels, probabilities).calibration_error
    )


def test_threshold_chosen_beforehand_can_miss_its_target() -> None:
    right, confidence = np.array([True, False, True]), np.array([0.9, 0.8, 0.1])
    rate = read_rate_at(right, confidence, threshold=0.5, error=0.01)
    assert (rate.accepted, rate.wrong, rate.share, rate.observed) == (2, 1, pytest.approx(2 / 3), 0.5)
    nothing = read_rate_at(right, confidence, threshold=0.95, error=0.01)
    assert (nothing.accepted, nothing.bound.high) == (0, 1.0)


def test_floor_loses_at_most_its_fraction() -> None:
    confidence = np.arange(1000) / 1000
    floor = floor_at_loss(confidence, loss=0.005)
    assert floor == 0.005
    assert (confidence < floor).mean() == 0.005
    assert floor_at_loss(confidence, loss=0.0) == 0.0


def test_floor_keeps_ties_together() -> None:
    confidence = np.array([0.2, 0.5, 0.5, 0.5, 0.9])
    assert floor_at_loss(confidence, loss=0.5) == 0.5  # a higher one would lose four of five


@pytest.mark.parametrize(("n", "loss"), [(0, 0.1), (5, 1.0), (5, -0.1)])
def test_invalid_floor_is_refused(n: int, loss: float) -> None:
    with pytest.raises(DataError, match="no floor at a loss"):
        floor_at_loss(np.zeros(n), loss=loss)


# --- plots


EPOCHS = tuple(
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 1 - 0.1 / epoch,
        "validation_loss": 1.2 / epoch,
        "validation_accuracy": 1 - 0.12 / epoch,
        "learning_rate": 0.001,
    }
    for epoch in (1, 2, 3)
)


def glyphs_of(n: int) -> np.ndarray:
    """Glyphs with one bright stroke each, all different."""
    glyphs = np.zeros((n, 28, 28), dtype=np.uint8)
    for index in range(n):
        glyphs[index, 4:24, 5 + index % 18] = 100 + index % 150
    return glyphs


def corner(picture: bytes) -> tuple[int, ...]:
    """The colour of a PNG's first pixel."""
    return Image.open(BytesIO(picture)).convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_plot_is_a_png_on_the_page_of_its_theme(theme: plots.Theme) -> None:
    picture = png(plots.class_balance(np.array([0, 1, 1]), theme))
    assert corner(picture) == tuple(bytes.fromhex(theme.page[1:]))


def test_curves_omit_missing_metrics() -> None:
    rows = [{"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.9}, {**EPOCHS[1]}]
    loss, accuracy = plots.curves(rows, LIGHT).axes
    assert [len(line.get_xdata()) for line in loss.lines] == [2, 1]
    assert [len(line.get_xdata()) for line in accuracy.lines] == [2, 1]


def test_confusion_plot_writes_each_count_once() -> None:
    confusion = np.diag(np.arange(10, 20))
    confusion[4, 9] = 3
    texts = {(t.get_position(), t.get_text()) for t in plots.confusion_matrix(confusion, DARK).axes[0].texts}
    assert ((9, 4), "3") in texts
    assert len(texts) == 11


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_is_legible_on_every_shade_of_the_theme(theme: plots.Theme) -> None:
    def contrast(first: str, second: str) -> float:
        high, low = sorted((luminance(to_rgb(colour)) for colour in (first, second)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for colour in (theme.ink, theme.muted, theme.first, theme.second):
        assert contrast(colour, theme.page) >= 4.5
        assert contrast(colour, theme.surface) >= 4.5
    for share in np.linspace(0.2, 1, 9):
        shade = to_hex(share * np.array(to_rgb(theme.second)) + (1 - share) * np.array(to_rgb(theme.surface)))
        assert contrast(text_on(to_rgb(shade), theme), shade) >= 3.8


def test_galleries_caption_misread_digits() -> None:
    figure = plots.misclassified(glyphs_of(2), np.array([3, 8]), answers([5, 1], [0.6, 0.9]), LIGHT)
    assert [text.get_text() for text in figure.axes[0].texts] == ["3 as 5, 60%", "8 as 1, 90%"]


def test_plots_can_be_drawn_in_threads_without_touching_pyplot() -> None:
    pictures: dict[str, bytes] = {}

    def draw(theme: plots.Theme) -> None:
        pictures[theme.name] = png(plots.class_balance(np.arange(10), theme))

    workers = [threading.Thread(target=draw, args=(theme,)) for theme in THEMES]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(pictures[theme.name] == png(plots.class_balance(np.arange(10), theme)) for theme in THEMES)


def test_metrics_load_neither_plots_nor_pages() -> None:
    code = (
        "import sys, handigit.evaluate.metrics as _; print({'matplotlib', 'jinja2', 'cv2', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# --- reports


class Page(HTMLParser):
    """What a report is made of: its tags, and every address in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def evaluation_of(labels: np.ndarray, probabilities: np.ndarray, **changes: object) -> Evaluation:
    known = {
        "title": "ours <script>alert(1)</script> & co",
        "model": "ours",
        "card": {"licence": 'MIT "quoted"'},
        "data": "tiny",
        "fingerprint": "ab" * 32,
        "scores": score(labels, probabilities),
        "glyphs": glyphs_of(len(labels)),
        "labels": labels,
        "probabilities": probabilities,
        "curves": EPOCHS,
        "code_version": "0.1.0",
    }
    return Evaluation(**{**known, **changes})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, example: tuple[np.ndarray, np.ndarray]) -> Path:
    return write_report(tmp_path_factory.mktemp("out") / "deep" / "report", evaluation_of(*example))


def test_report_is_self_contained(report: Path) -> None:
    page = Page(report)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    pictures = [tag["src"] for tag in page.all("img")] + [tag["srcset"] for tag in page.all("source")]
    assert all(address and address.startswith("data:image/png;base64,") for address in pictures)
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    assert "default-src 'none'" in str(page.all("meta"))
    assert {tag["href"] for tag in page.all("a")} - {"scores.json"} <= {f"#{tag['id']}" for tag in page.all("h2")}


def test_report_escapes_its_values(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert "ours &lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text
    assert "MIT &#34;quoted&#34;" in text


def test_report_describes_its_pictures(report: Path) -> None:
    page = Page(report)
    assert all(tag.get("alt") for tag in page.all("img"))
    assert all(tag.get("scope") for tag in page.all("th"))
    words = next(tag["aria-label"] for tag in page.all("svg") if "aria-label" in tag)
    assert str(words).startswith("Probabilities: 1 90.0%")


def test_report_shows_every_mistake_and_its_figures(report: Path) -> None:
    page = Page(report)
    assert len([tag for tag in page.all("img") if str(tag["alt"]).startswith("Handwritten digit")]) == 2
    assert "75.00%" in page.text
    known = json.loads((report.parent / "scores.json").read_text(encoding="utf-8"))
    assert Scores.from_dict(known["scores"]).accuracy == 0.75
    assert known["misclassified"]["3"]["label"] == 7


def test_report_keeps_its_plots_in_both_themes(report: Path) -> None:
    names = {path.stem for path in (report.parent / "plots").glob("*.png")}
    shown = ("balance", "calibration", "confusion", "coverage", "curves", "intensity", "misclassified", "samples")
    assert names == {f"{name}-{theme}" for name in shown for theme in ("light", "dark")}


def test_report_without_mistakes_or_training(tmp_path: Path) -> None:
    labels = np.arange(10)
    page = write_report(tmp_path, evaluation_of(labels, np.eye(10), curves=()))
    assert "every answer is right" in page.read_text(encoding="utf-8")
    assert 'id="curves"' not in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_report_of_200_mistakes_is_complete_and_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    labels, wrong = np.zeros(200, dtype=np.int64), answers([1] * 200, [0.5 + index / 500 for index in range(200)])
    scores = score(labels, wrong, masked=[3])
    path = write_report(tmp_path, evaluation_of(labels, wrong, glyphs=noise, scores=scores))
    page = Page(path)
    assert len([tag for tag in page.all("img") if tag["alt"] == "Handwritten digit, labelled 0"]) == 200
    assert all(f"no. {index}<" in page.text or f"no. {index}," in page.text for index in range(200))
    assert page.text.count(", disputed</small>") == 1
    assert "50.6%, no. 3, disputed" in page.text
    assert path.stat().st_size < 3_000_000


def test_report_path_that_is_a_file_is_refused(tmp_path: Path, example: tuple[np.ndarray, np.ndarray]) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(RunError, match="taken"):
        write_report(tmp_path / "taken", evaluation_of(*example))


@pytest.mark.parametrize("labels", [None, np.array([3, 3, 4])], ids=["unlabelled", "labelled"])
def test_data_report_shows_the_set(tmp_path: Path, labels: np.ndarray | None) -> None:
    path = write_data_report(tmp_path, name="mine & yours", glyphs=glyphs_of(3), labels=labels, fingerprint="cd" * 32)
    page = Page(path)
    assert "mine &amp; yours" in page.text
    assert "cd" * 32 in page.text
    assert len(page.all("img")) == (2 if labels is None else 3)


def test_terminal_shows_the_same_scores(example: tuple[np.ndarray, np.ndarray]) -> None:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(describe_scores(score(*example, masked=[3]), title="ours on tiny"))
    text = captured.get()
    assert "75.00% (95% interval 40.93% to 92.85%)" in text
    assert "without 1 disputed" in text
    assert "3 as 5 (1 times), 7 as 1 (1 times)" in text


# --- comparisons


def run_named(name: str, accuracy: float | None, **recipe: object) -> RunSummary:
    return RunSummary(name, recipe, EPOCHS, None if accuracy is None else {"accuracy": accuracy, "nll": 0.1}, 1000)


def test_comparison_shows_differences_and_averages_over_seeds() -> None:
    runs = [
        run_named("a", 0.99, model="cnn", seed=1, epochs=3),
        run_named("b", None, model="dense", epochs=3),
        run_named("c", 0.98, model="cnn", seed=2, epochs=3),
    ]
    assert differing(runs) == ("model", "seed")
    found = lines(runs)
    assert [line.cells[0] for line in found] == ["a", "c", "mean of 2 seeds", "b"]
    assert "98.50% ± 0.71%" in found[2].cells
    assert found[3].differs == {1, 2}


def test_comparison_fits_the_terminal_and_a_page(tmp_path: Path) -> None:
    runs = [run_named("[bold]a", 0.99, model="cnn"), run_named("<b>", 0.98, model="dense")]
    console = Console(width=120)
    with console.capture() as captured:
        console.print(compare(runs))
    assert "[bold]a" in captured.get()
    page = write_comparison(tmp_path, runs)
    assert "&lt;b&gt;" in page.read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "comparison-dark.png").is_file()


def test_comparing_no_runs_is_an_error() -> None:
    with pytest.raises(RunError, match="no runs to compare"):
        compare([])
