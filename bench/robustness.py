"""How the embedded model does away from home: other sets, corruptions, and what is no digit, all through the reader.

    python bench/robustness.py [--model FILE]

Every picture goes through `Reader.digits` as it lies in its set: raw uint8, unknown polarity, any size. An answer
counts as right if its value is the label, whatever the outcome; `read` is the share that was also sure enough at a
wanted error of 1 %, `wrong` the share of those that was wrong. A set the model has learnt from says so: only the
others are zero-shot. Corruptions are ours, after MNIST-C (Mu & Gilmer 2019), on MNIST's first 2,000 test images.
Writes bench/results/robustness.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from handigit.data import load
from handigit.evaluate import clopper_pearson
from handigit.evaluate.robustness import robustness
from handigit.read import Reader
from handigit.records import Digit, Outcome
from handigit.settings import Settings
from handigit.synth import nondigits

RESULTS = Path(__file__).with_name("results") / "robustness.json"
SETS = ("usps", "unipen", "optdigits", "semeion", "hwd1000")
CORRUPTED = 2000
"""MNIST test images that are corrupted and varied in every way; all 10,000 would take a quarter of an hour."""
LOOK_ALIKES = set("oOlIisSzZbqgBDQ|()/")


def pictures(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A set's raw pictures and labels; of a set with two parts, the test part."""
    with np.load(path, allow_pickle=False) as stored:
        chosen = stored["is_test"].astype(bool) if "is_test" in stored else np.ones(len(stored["labels"]), bool)
        return stored["images"][chosen], stored["labels"][chosen].astype(np.int64)


def score_set(reader: Reader, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Percent right, read, and wrong among those read with its upper 95 % bound."""
    answers = reader.digits(list(images))
    right = np.array([a.value == label for a, label in zip(answers, labels.tolist(), strict=True)])
    read = np.array([a.outcome is Outcome.READ for a in answers])
    wrong = int((read & ~right).sum())
    return {
        "n": len(labels),
        "right": round(100 * float(right.mean()), 2),
        "read": round(100 * float(read.mean()), 2),
        "wrong_among_read": round(100 * wrong / max(1, int(read.sum())), 3),
        "wrong_bound_95": round(100 * clopper_pearson(wrong, max(1, int(read.sum()))).high, 3),
        "called_no_number": round(100 * share(answers, Outcome.NOT_A_NUMBER), 2),
        "called_blank": round(100 * share(answers, Outcome.BLANK), 2),
    }


def share(answers: list[Digit], outcome: Outcome) -> float:
    """How many of the answers have this outcome."""
    return float(np.mean([a.outcome is outcome for a in answers]))


def rejection(reader: Reader, data: Path) -> dict[str, dict[str, float]]:
    """Percent of what is no digit that is not `read`."""
    rng = np.random.default_rng(0)
    blanks = [np.clip(rng.normal(rng.uniform(150, 250), rng.uniform(0, 6), (64, 64)), 0, 255) for _ in range(200)]
    groups = {
        "blank, noise": [page.astype(np.uint8) for page in blanks],
        "drawn scribbles": list(255 - nondigits(500, seed=99, kinds=("scribble",)).glyphs),
        "drawn, all kinds": list(255 - nondigits(1000, seed=98).glyphs),
    }
    for name in ("unipen_letters_symbols", "omniglot"):
        with np.load(data / "nondigits" / f"{name}.npz", allow_pickle=False) as stored:
            images, chars = stored["images"], stored["chars"].tolist()
        groups[name] = [image for image, char in zip(images, chars, strict=True) if char not in LOOK_ALIKES]
    found = {}
    for name, images in groups.items():
        answers = reader.digits(images)
        found[name] = {"n": len(images), "not_read": round(100 * (1 - share(answers, Outcome.READ)), 2)}
        found[name]["called_no_number"] = round(100 * share(answers, Outcome.NOT_A_NUMBER), 2)
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=None)
    reader, data = Reader(parser.parse_args().model), Settings().data
    learnt = reader.engine.card.recipe.get("data", ["mnist"])
    result: dict[str, object] = {"model": reader.engine.card.name, "digest": reader.engine.digest}
    result["sets"] = {
        name: {**score_set(reader, *pictures(data / "digits" / f"{name}.npz")), "learnt_from": name in learnt}
        for name in SETS
    }
    result["what_is_no_digit"] = rejection(reader, data)
    test = load("mnist", folder=data, part="test")
    assert test.labels is not None

    def values(images: np.ndarray) -> np.ndarray:
        return np.array([-1 if a.value is None else a.value for a in reader.digits(list(images))], np.int64)

    scores = robustness(values, test.glyphs[:CORRUPTED], test.labels[:CORRUPTED], seed=0)
    result["mnist"] = scores.as_dict()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
