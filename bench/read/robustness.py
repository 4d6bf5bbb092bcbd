"""Robustness of digit models: other data sets, corruptions, variations, non-digits, confidence.

    python -m bench.read.robustness --model digit=runs/digit-seed0/model.onnx cnn=runs/cnn-seed0/model.onnx
    python -m bench.read.robustness --resized tutorial=runs/tutorial-seed0/model.onnx
    python -m bench.read.robustness                                     # the embedded model, as "digit"

Pictures go through `Reader.digits` as in their set: raw uint8, unknown polarity, any size. Those of `--resized` are
read as in the tutorials: the whole picture resized to 28x28, inverted where the set's ink is known to be dark, and
every softmax of at least 0.5 accepted.

An answer is right if its value is the label, whatever the outcome. Sets that the model or one of its teachers was
trained on are marked; only the others are zero-shot. Of Omniglot only pictures are used that no recipe trains on.
Corruptions are our own, after MNIST-C (Mu & Gilmer 2019), read both ways: the corrupted glyph given to the network, as
MNIST-C is used, and as a raw picture. Figures are fractions. Adds to bench/results/robustness.json, by name.
"""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.read.pictures import Pictures, digit_sets, nondigit_sets
from bench.read.readers import Answers, Resized, ThroughReader, Way
from bench.results_io import RESULTS, load_results, named_file, save_results
from bench.train.accuracy import find_recipe
from handigit.data import load
from handigit.evaluate import calibration_error, clopper_pearson, floor_at_loss, read_rate_at, read_rate_of
from handigit.evaluate.robustness import robustness
from handigit.read.engine import EMBEDDED
from handigit.settings import Settings

ZERO_SHOT = ("usps", "unipen")
"""The sets that no model here may learn from: the ruler for confidence and rejection."""
LOSS = 0.005
"""The share of their digits that rejection may cost."""
WANTED_ERRORS = (0.001, 0.005, 0.01)


def measure(way: Way, sets: list[Pictures], others: list[Pictures], mnist: Pictures, raw: int) -> dict[str, Any]:
    """All figures of one model; `raw` is how many MNIST images go through its way of reading."""
    labels = {one.name: one.labels for one in sets}
    read = {one.name: way.answers(one) for one in sets}
    both = sum_of(read[name] for name in ZERO_SHOT)
    learnt = learnt_sets(way.engine.card.recipe)
    return {
        "model": way.engine.card.name,
        "digest": way.engine.digest,
        "through": way.through,
        "sets": {name: score_set(read[name], labels[name]) | {"learnt_from": name in learnt} for name in read},
        "rejection": rejection(way, {name: read[name] for name in ZERO_SHOT} | {"usps + unipen": both}, others),
        "confidence": confidence(way, both, np.concatenate([labels[name] for name in ZERO_SHOT])),
        "direct": direct(way, mnist),
        "raw": through(way, mnist, raw),
    }


def learnt_sets(recipe: dict[str, Any]) -> set[str]:
    """The sets that a model of this recipe has learnt from, itself or through its teachers."""
    names = set(recipe.get("data", ()))
    for teacher in recipe.get("teachers", ()):
        name = Path(teacher).name.partition("-seed")[0]
        names |= learnt_sets(find_recipe(name).differences())
    return names


def sum_of(answers: Iterable[Answers]) -> Answers:
    """The answers on several sets as one."""
    first, *rest = answers
    for more in rest:
        first += more
    return first


def score_set(answers: Answers, labels: np.ndarray) -> dict[str, float]:
    """Right, read, and wrong among those read with its upper 95 % bound."""
    wrong, read = int((answers.read & (answers.values != labels)).sum()), int(answers.read.sum())
    return {
        "n": len(labels),
        "right": float((answers.values == labels).mean()),
        "read": float(answers.read.mean()),
        "wrong_among_read": wrong / max(1, read),
        "wrong_bound_95": clopper_pearson(wrong, read).high if read else 1.0,
        "called_no_digit": float(answers.called_no_digit.mean()),
    }


def rejection(way: Way, digits: dict[str, Answers], others: list[Pictures]) -> dict[str, Any]:
    """What is turned away of digits (the last being all of them) and of what is none."""
    floor = floor_at_loss(list(digits.values())[-1].confidence, loss=LOSS)
    return {
        "floor": way.engine.card.digit_floor,
        "threshold": way.threshold(0.01),
        "loss": LOSS,
        "floor_at_loss": floor,
        "digits": {name: turned_away(answers, floor) for name, answers in digits.items()},
        "no_digits": {other.name: turned_away(way.answers(other), floor) for other in others},
    }


def turned_away(answers: Answers, floor: float) -> dict[str, float]:
    """The shares called no digit, not read at the card's threshold, and under the floor that loses LOSS."""
    return {
        "n": len(answers.confidence),
        "called_no_digit": float(answers.called_no_digit.mean()),
        "not_read": float(1 - answers.read.mean()),
        "under_floor_at_loss": float((answers.confidence < floor).mean()),
    }


def confidence(way: Way, answers: Answers, labels: np.ndarray) -> dict[str, Any]:
    """Calibration error over all answers, and how much can be read at each wanted error.

    `best`: the most that any threshold reads within the error; found on these very answers, so it flatters itself.
    `card`: what the threshold in the card, bought on validation data, reads.
    """
    right = answers.likeliest == labels
    sure = np.where(answers.called_no_digit, 0.0, answers.confidence)
    rates = {}
    for error in WANTED_ERRORS:
        best = read_rate_of(right, sure, error=error)
        card = read_rate_at(right, sure, threshold=way.threshold(error), error=error)
        rates[str(error)] = {"best": asdict(best), "card": asdict(card)}
    return {
        "n": len(labels),
        "calibration_error": calibration_error(right, answers.confidence),
        "read_rates": rates,
    }


def direct(way: Way, mnist: Pictures) -> dict[str, Any]:
    """The corrupted glyphs given to the network itself, as MNIST-C is used."""

    def values(images: np.ndarray) -> np.ndarray:
        logits = way.engine.logits(images.astype(np.float32) / 255)
        return np.asarray(logits.argmax(axis=1), np.int64)

    return robustness(values, np.stack(mnist.images), mnist.labels, seed=0, grids=()).as_dict()


def through(way: Way, mnist: Pictures, n: int) -> dict[str, Any]:
    """The first n corrupted, and varied in every way, as raw pictures."""

    def values(images: np.ndarray) -> np.ndarray:
        return way.answers(Pictures("mnist", list(images), mnist.dark_ink, mnist.labels)).values

    return robustness(values, np.stack(mnist.images[:n]), mnist.labels[:n], seed=0).as_dict()


def mnist_test(data: Path, n: int) -> Pictures:
    """The first n test images."""
    test = load("mnist", folder=data, part="test")
    assert test.labels is not None
    return Pictures("mnist", list(test.glyphs[:n]), False, test.labels[:n])


def summary(found: dict[str, Any]) -> str:
    """The figures that people ask for first, in percent."""
    means = {how: np.mean(list(found[how]["corruptions"].values())) for how in ("direct", "raw")}
    shown = {"MNIST-C": means["direct"], "raw": means["raw"]} | {n: one["right"] for n, one in found["sets"].items()}
    rejected = found["rejection"]["no_digits"]
    shown |= {name: rejected[name]["under_floor_at_loss"] for name in tuple(rejected)[:2]}
    shown["ECE"] = found["confidence"]["calibration_error"]
    return "  ".join(f"{name} {100 * share:.2f}" for name, share in shown.items())


def main() -> None:
    """Measure each model named, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", type=named_file, default=[], metavar="NAME=FILE")
    parser.add_argument("--resized", nargs="+", type=named_file, default=[], metavar="NAME=FILE")
    parser.add_argument("--direct", type=int, default=10_000, help="MNIST images corrupted and given to the network")
    parser.add_argument("--raw", type=int, default=2_000, help="how many of these are also read raw and varied")
    parser.add_argument("--output", type=Path, default=RESULTS / "robustness.json")
    given, settings = parser.parse_args(), Settings()
    if not given.model and not given.resized:
        given.model = [("digit", EMBEDDED / "digit.onnx")]
    ways: list[tuple[str, Way]] = [(name, ThroughReader(file, settings.threads)) for name, file in given.model]
    ways += [(name, Resized(file, settings.threads)) for name, file in given.resized]
    sets, others = digit_sets(settings.data), nondigit_sets(settings.data)
    mnist = mnist_test(settings.data, given.direct)
    for name, way in ways:
        found = measure(way, sets, others, mnist, given.raw)
        save_results(given.output, load_results(given.output) | {name: found})
        print(f"{name}: {summary(found)}", flush=True)


if __name__ == "__main__":
    main()
