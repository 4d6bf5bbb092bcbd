"""The benchmarks: their arithmetic, and the results page made from their files."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.read import conditions, model_speed, pages, pictures, readers, robustness
from bench.read.condition_pages import Camera, draw_page, page_conditions, photograph
from bench.report.write import write_page, write_readme
from bench.results_io import load_results, named_file, save_results
from bench.timing import median_seconds
from bench.train import accuracy
from handigit.data import Dataset
from handigit.read import Engine
from handigit.read.engine import EMBEDDED
from handigit.records import Box, Number, Outcome
from handigit.synth import Scene, digits, picture

# --- results files


def test_results_are_added_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "results" / "speed.json"
    assert load_results(file) == {}
    save_results(file, load_results(file) | {"a": 1.5})
    save_results(file, load_results(file) | {"b": [2]})
    assert load_results(file) == {"a": 1.5, "b": [2]}
    assert [path.name for path in file.parent.iterdir()] == ["speed.json"]


def test_model_is_given_as_name_and_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    assert named_file(f"mine={tmp_path}/m.onnx") == ("mine", tmp_path / "m.onnx")
    for text in (f"{tmp_path}/m.onnx", f"mine={tmp_path}/none.onnx", f"={tmp_path}/m.onnx"):
        with pytest.raises(ValueError, match="is not NAME=FILE"):
            named_file(text)


def test_timed_works_take_turns() -> None:
    done: list[str] = []
    taken = median_seconds({name: lambda n=name: done.append(n) for name in "ab"}, rounds=3)
    assert done == ["a", "b"] + ["a", "b"] * 3
    assert set(taken) == {"a", "b"}
    assert all(time >= 0 for time in taken.values())


# --- accuracy


def test_summary_has_mean_and_deviation_over_seeds() -> None:
    found = accuracy.summarise([{"accuracy": 99.0}, {"accuracy": 99.2}, {"accuracy": 99.4}])
    assert found["accuracy"] == {"mean": 99.2, "sd": 0.2}
    assert found["seeds"] == [{"accuracy": 99.0}, {"accuracy": 99.2}, {"accuracy": 99.4}]
    assert accuracy.summarise([{"accuracy": 99.0}])["accuracy"] == {"mean": 99.0, "sd": None}


def test_ensemble_members_have_equal_weights(tmp_path: Path) -> None:
    engine = Engine(EMBEDDED / "digit.onnx", threads=1)
    glyphs = digits(3, seed=0).glyphs.astype(np.float32) / 255
    always_seven = tmp_path / "seven.onnx"
    always_seven.write_bytes(constant_model(7))
    found = accuracy.mean_probabilities([EMBEDDED / "digit.onnx", always_seven], glyphs, 1)
    assert np.allclose(found, (engine.probabilities(glyphs) + np.eye(10)[[7, 7, 7]]) / 2)


def constant_model(digit: int) -> bytes:
    """An ONNX file that always answers one digit with certainty."""
    glyphs = helper.make_tensor_value_info("glyphs", TensorProto.FLOAT, ["n", 784])
    shares = helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 10])
    weights = numpy_helper.from_array(np.zeros((784, 10), np.float32), "weights")
    bias = numpy_helper.from_array(np.eye(10, dtype=np.float32)[digit], "bias")
    node = helper.make_node("Gemm", ["glyphs", "weights", "bias"], ["shares"])
    graph = helper.make_graph([node], "constant", [glyphs], [shares], [weights, bias])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


# --- readers


def test_baseline_resizes_the_whole_picture() -> None:
    page = np.full((56, 84, 3), 255, np.uint8)
    page[28:, :42] = 0
    (glyph,) = readers.resized([page], pictures.Pictures("one", [page], True, np.array([1])))
    assert glyph.dtype == np.float32
    assert (glyph[14:, :14] == 1).all()
    assert glyph.sum() == 14 * 14


def test_answers_of_two_sets_are_concatenated() -> None:
    one = readers.Answers(np.array([3]), np.array([3]), np.array([0.9]), (Outcome.READ,))
    none = readers.Answers(np.array([-1]), np.array([-1]), np.array([0.0]), (Outcome.BLANK,))
    both = one + none
    assert both.values.tolist() == [3, -1]
    assert both.read.tolist() == [True, False]
    assert both.called_no_digit.tolist() == [False, True]


def test_blank_sheet_has_no_value_and_a_stroke_is_one() -> None:
    way = readers.ThroughReader(EMBEDDED / "digit.onnx", 1)
    sheet = np.full((60, 60), 250, np.uint8)
    stroke = sheet.copy()
    stroke[10:50, 28:33] = 10
    answers = way.answers(pictures.Pictures("two", [sheet, stroke], True, np.array([0, 1])))
    assert answers.values.tolist() == answers.likeliest.tolist() == [-1, 1]
    assert answers.confidence[0] == 0
    assert way.threshold(0.5) >= way.engine.card.digit_floor


@pytest.mark.parametrize("kind", ["noisy", "ruled", "boxed", "shadowed", "any paper"])
def test_blank_scenes_have_no_writing(kind: str) -> None:
    rng = np.random.default_rng(3)
    scene = pictures.BLANKS[kind](Scene.draw(rng), rng)
    assert scene.paper.frame == (kind == "boxed") or kind == "any paper"
    assert (scene.paper.ruling != "plain") == (kind == "ruled") or kind == "any paper"
    assert picture("", seed=3, scene=scene).box is None


# --- scores


def test_rejections_are_counted_by_floor_and_outcome() -> None:
    outcomes = (Outcome.READ, Outcome.DOUBT, Outcome.NOT_A_NUMBER, Outcome.BLANK)
    answers = readers.Answers(
        np.array([1, 2, -1, -1]), np.array([1, 2, 3, -1]), np.array([0.9, 0.6, 0.3, 0.0]), outcomes
    )
    assert robustness.turned_away(answers, 0.5) == {
        "n": 4,
        "called_no_digit": 0.5,
        "not_read": 0.75,
        "under_floor_at_loss": 0.5,
    }
    scores = robustness.score_set(answers, np.array([1, 7, 3, 4]))
    assert (scores["right"], scores["read"], scores["wrong_among_read"]) == (0.25, 0.25, 0.0)


def test_training_sets_include_those_of_the_teachers() -> None:
    learnt_sets = robustness.learnt_sets
    assert learnt_sets({"data": ["mnist"]}) == {"mnist"}
    assert "semeion" in learnt_sets({"data": ["mnist"], "teachers": ["runs/digit-seed3"]})


def test_glyphs_of_another_set_are_found_in_the_validation_split() -> None:
    glyphs = np.arange(5 * 784).astype(np.uint8).reshape(5, 28, 28) // 3
    glyphs[:, 0, 0] = np.arange(5)
    labels = np.arange(5)
    found = model_speed.part_of(Dataset("all", glyphs, labels), Dataset("some", glyphs[[1, 3]], labels[[1, 3]]))
    assert found.labels.tolist() == [1, 3]


# --- the page


def seeds_of(*accuracies: float) -> dict[str, object]:
    """A row of accuracy.json."""
    one = {"mean": accuracies[0], "sd": 0.04 if len(accuracies) > 1 else None}
    seeds = [{"accuracy": accuracy} for accuracy in accuracies]
    costs = {"parameters": 1234, "macs": 5678, "file_bytes": 750_000}
    return costs | {"accuracy": one, "accuracy_without_disputed": one, "through_reader": one, "seeds": seeds}


def away_of(usps: float, learnt: bool) -> dict[str, object]:
    """A row of robustness.json."""
    scores = {"n": 10, "right": usps, "read": 0.9, "wrong_among_read": 0.01, "wrong_bound_95": 0.03}
    turned = {"n": 10, "called_no_digit": 0.5, "not_read": 0.75, "under_floor_at_loss": 0.6}
    rate = {"n": 10, "accepted": 9, "wrong": 1, "bound": {"low": 0.0, "high": 0.2}}
    shares = {
        "n": 100,
        "clean": 0.99,
        "corruptions": {"fog": 0.5, "zigzag": 0.9},
        "grids": {"jpeg": {"quality 5": 0.8}},
    }
    sets = ("usps", "unipen", "optdigits", "semeion", "hwd1000")
    return {
        "sets": {name: scores | {"learnt_from": learnt and name == "semeion"} for name in sets},
        "rejection": {
            "loss": 0.005,
            "digits": {"usps + unipen": turned},
            "no_digits": {"unipen letters and symbols": turned, "omniglot": turned | {"under_floor_at_loss": 1.0}},
        },
        "confidence": {
            "n": 20,
            "calibration_error": 0.0123,
            "read_rates": {"0.01": {"best": rate, "card": rate}},
        },
        "direct": shares,
        "raw": shares,
    }


@pytest.fixture
def benches() -> dict[str, object]:
    return {
        "accuracy": {
            "ensemble": seeds_of(99.82) | {"members": ["digit-seed0", "cnn-seed0"]},
            "digit": seeds_of(99.7, 99.6),
        },
        "robustness": {"digit": away_of(0.9876, learnt=True), "tutorial": away_of(0.5, learnt=False)},
    }


def cells(page: str, name: str) -> list[str]:
    """The first row of that name."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_main_table_has_a_row_per_model_and_dashes_for_missing_figures(benches) -> None:
    page = write_page(benches)
    ours = cells(page, "**digit** (ships)")
    assert ours[1:8] == ["1,234", "5,678", "0.75", "99.70 ± 0.04", "70.0", "70.0", "fog 50.0"]
    assert ours[8:] == ["98.76", "98.76", "98.76", "98.76*", "98.76", "80.0", "1.23", "–"]
    baseline = cells(page, "tutorial (baseline)")
    assert baseline[1:7] == ["–", "–", "–", "–", "70.0", "–"]
    assert cells(page, "ensemble")[4:6] == ["99.82", "–"]
    main = page.split("##")[0]
    names = [line.split("|")[1].strip() for line in main.splitlines() if line.startswith("| ")]
    assert names == ["model", "tutorial (baseline)", "**digit** (ships)", "ensemble"]


def test_benchmark_without_results_has_no_section(benches) -> None:
    page = write_page(benches)
    assert "python -m bench.train.accuracy digit --seeds 2" in page
    assert "python -m bench.train.accuracy --ensemble digit:1 cnn:1" in page
    assert "## Non-digits" in page
    assert not any(
        title in page for title in ("## Training speed", "## The networks alone", "## Reading speed", "## Size")
    )
    assert "##" not in write_page({})


def test_speed_sections_appear_with_their_results(benches) -> None:
    form = {"bytes": 750_000, "ms_at_256": 0.0941, "ms_at_1": 0.18, "test": 99.63}
    benches["model_speed"] = {
        "digit": {"float32": form, "int8_static": form | {"validation": 99.7}, "load_average": 0.5}
    }
    benches["train_speed"] = {
        "ours": {
            "accuracy": {"mean": 99.03, "sd": 0.02},
            "seconds": 1.234,
            "cpu_seconds": 2.4,
            "seeds": 10,
            "threads": 2,
        }
        | {"load_average": 0.1}
    }
    benches["forms"] = {"speed": {"template": {"fields": 300, "median_s": 0.07}}}
    page = write_page(benches)
    assert "A template of 300 fields" in page
    assert cells(page, "**digit** (ships)")[-1] == "0.094"
    assert "| **digit** (ships) | int8, static | 0.75 | 0.094 | 0.180 | 99.70 | 99.63 |" in page
    assert "| ours | 99.03 ± 0.02 | 1.23 | 2.40 | – | – | 10 | 2 | 0.1 |" in page


def test_readme_changes_only_between_its_marks(benches) -> None:
    text = "# Head\n<!-- results -->\nold\n<!-- end of results -->\ntail\n"
    found = write_readme(text, benches)
    assert found.startswith("# Head\n<!-- results -->\n| recipe |")
    assert found.endswith("<!-- end of results -->\ntail\n")
    assert "old" not in found
    assert "tutorial" not in found


# --- conditions


@pytest.mark.parametrize("kind", ["digits", "numbers"])
def test_every_condition_draws_a_picture_of_the_writing(kind: str) -> None:
    drawn = digits(4, seed=5)
    bench = conditions.Bench(drawn.glyphs, drawn.labels, readers.Reader(), count=1)
    ((coverage, text),) = bench.writings(kind)
    assert text.isdecimal()
    for name, change in conditions.conditions(kind).items():
        made = change(coverage, np.random.default_rng(3))
        assert made.dtype == np.uint8, name
        assert np.ptp(made) >= 20, name


def test_sizes_agree_where_every_answer_is_the_same() -> None:
    small, large = conditions.Tally(), conditions.Tally()
    for index, (at_small, at_large) in enumerate([("1", "1"), ("2", "3"), ("4", "5")]):
        read = Number(outcome=Outcome.READ, text=at_small, confidence=0.99)
        outcome = Outcome.READ if at_large == "5" else Outcome.DOUBT
        small.add(index, at_small, [read])
        large.add(index, at_small, [Number(outcome=outcome, text=at_large, confidence=0.9)])
    assert conditions.agreement([small, large]) == {"n": 3, "same": 1 / 3, "contradicting": 1 / 3}
    rows = conditions.conditions("digits")
    assert all(set(parts) <= set(rows) for parts in conditions.SAME_WRITING.values())


@pytest.mark.parametrize(
    "camera", [Camera(), Camera(-15), Camera(90, longer_px=1000), Camera(8, 45, 0.3, perspective=0.03)]
)
def test_boxes_of_a_photographed_page_are_around_its_numbers(camera: Camera) -> None:
    drawn = digits(20, seed=6)
    page = photograph(
        draw_page(drawn.glyphs, drawn.labels, np.random.default_rng(1), "plain"), camera, np.random.default_rng(2)
    )
    assert len(page.numbers) == 12
    for _, box in page.numbers:
        inside = page.picture[box.top : box.bottom, box.left : box.right]
        assert np.quantile(inside, 0.05) < 0.5 * np.quantile(inside, 0.9)
    assert len(page_conditions()) > 30


def test_number_on_a_page_belongs_to_the_box_around_its_middle() -> None:
    def number(text: str, box: Box, outcome: Outcome = Outcome.READ) -> Number:
        return Number(outcome=outcome, text=text, confidence=0.9, box=box)

    places = [("12", Box(0, 0, 20, 10)), ("34", Box(0, 50, 20, 60)), ("", Box(0, 80, 20, 90))]
    numbers = [number("12", Box(2, 2, 18, 8)), number("3", Box(2, 50, 9, 60)), number("7", Box(60, 60, 70, 70))]
    numbers.append(number("1", Box(5, 82, 9, 88)))
    tally = conditions.Tally()
    conditions.count_page(tally, 0, places[:2], numbers)
    assert (tally.n, tally.found, tally.right, tally.read, tally.wrong, tally.elsewhere) == (2, 2, 1, 2, 1, 2)
    answer = pages.Answer([(n.text, n.box, True) for n in numbers if n.box], 0.5)
    row = pages.score([pages.DrawnPage(np.zeros((100, 100), np.uint8), places)], [answer])
    assert (row["numbers"], row["right"], row["marks"], row["marks_read"], row["elsewhere"]) == (2, 0.5, 1, 1, 1)
