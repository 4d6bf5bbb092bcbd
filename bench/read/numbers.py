"""Accuracy of number reading, zero-shot, beside general OCR on the same crops in the same run.

    python -m bench.read.numbers [--model number.onnx] [--peers] [--limit N] [--memory-calls N]

Sets: MNIST test digits composed into strings with a fixed seed, cheque amounts (orand_car_a), tablet numbers of two or
more digits (unipen), fields of vote-count forms (c1), whole pages of these, and lines that are not numbers. A string
counts when all of it is right. Also: accuracy with the alphabet limited to digits; the fraction read at a target error
of 1 % and 0.1 %, the error among those and its bound; calibration error; milliseconds per crop on one core, numbers per
second on two. `--peers` installs RapidOCR in its own environment under out/ and runs it, and Tesseract if it is
installed (Debian: tesseract-ocr), on at most `PEER_CROPS` crops of each set. Writes bench/results/numbers.json.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.read.ppocr import PPOCR
from bench.read.strings import (
    Crop,
    Field,
    drawn_nothing,
    fields,
    forms,
    held_out,
    labelled,
    letters_in_words,
    mnist_strings,
)
from bench.results_io import RESULTS, load_results, save_results
from bench.timing import median_seconds, seconds
from handigit.data.writers import STRING_SETS
from handigit.evaluate.intervals import clopper_pearson
from handigit.read import Reader
from handigit.read.crops import CropStrips, read_crops
from handigit.read.ctc import DIGITS
from handigit.read.hypotheses import Reading, rank_candidates
from handigit.read.numbers import likely_numbers
from handigit.records import Number, Outcome
from handigit.settings import Settings

PEER_CROPS = 300
PEERS = Path("out/ocr-peers")
BINS = 15
DIGITS_ONLY = ("mnist_strings", "unipen")
"""Sets of bare digits: there a user would say so."""
NOTHING = 500


def sets(folder: Path) -> dict[str, Callable[[], Iterator[Crop]]]:
    """Crops that hold a number, by set."""
    return {
        "mnist_strings": lambda: mnist_strings(folder),
        "orand_car_a": lambda: labelled(folder, "orand_car_a"),
        "unipen": lambda: labelled(folder, "unipen", shortest=2),
        "c1_fields": lambda: fields(folder),
        **{f"{name}_held_out": partial(held_out, folder, name) for name in STRING_SETS},
    }


def strangers(folder: Path) -> dict[str, Callable[[], Iterator[Crop]]]:
    """Crops that hold none."""
    return {
        "drawn words, scribbles, dashes": lambda: drawn_nothing("words", NOTHING),
        "drawn blank fields": lambda: drawn_nothing("blanks", NOTHING),
        "words of real letters": lambda: letters_in_words(folder, NOTHING),
    }


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--memory-calls", type=int, default=20_000)
    arguments = parser.parse_args()
    folder, result = Settings().data, load_results(RESULTS / "numbers.json")
    for name, crops in sets(folder).items():
        some = list(crops())[: arguments.limit]
        found = scored(some, arguments.model)
        if name in DIGITS_ONLY:
            found["right_told_digits"] = right_told(some, arguments.model, alphabet=DIGITS)
        earlier = result.get(name, {}).get("peers", {})
        found["peers"] = earlier | (peers(some) if arguments.peers else {}) | ppocr(some, arguments.model)
        labels = WRONG_LABELS.get(name)
        found["corrected"] = scored(corrected(some, labels), arguments.model) if labels else None
        result[name] = found
        print(name, json.dumps(found), flush=True)
    result["strangers"] = {
        name: not_read(list(crops())[: arguments.limit], arguments.model) for name, crops in strangers(folder).items()
    }
    result["c1_pages"] = pages(folder, arguments.model)
    result["speed"] = speed(list(labelled(folder, "orand_car_a")), arguments.model)
    amounts = list(labelled(folder, "orand_car_a"))
    result["memory"] = memory(amounts, arguments.model, calls=arguments.memory_calls)
    print(json.dumps({name: result[name] for name in ("strangers", "c1_pages", "speed", "memory")}))
    if not arguments.limit and not arguments.model:
        save_results(RESULTS / "numbers.json", result)


def scored(crops: list[Crop], model: Path | None) -> dict[str, Any]:
    """Right strings, wrong characters, and what confidence was worth."""
    usual = Reader(model)
    numbers = usual.numbers(crop.pixels for crop in crops)
    strict = usual.number_engine.card.threshold(0.001)
    texts = [crop.text for crop in crops]
    right = [number.text == text for number, text in zip(numbers, texts, strict=True)]
    errors = sum(distance(number.text, text) for number, text in zip(numbers, texts, strict=True))
    return {
        "crops": len(crops),
        "right": sum(right) / len(crops),
        "each": each_model([crop.pixels for crop in crops], texts, usual),
        "character_error": errors / max(1, sum(map(len, texts))),
        "at_1_percent": read_share(numbers, right),
        "at_0.1_percent": read_share([_stricter(number, strict) for number in numbers], right),
        "calibration_error": calibration_error(numbers, right),
    }


WRONG_LABELS: dict[str, dict[str, str | None]] = {
    "orand_car_a": {
        "a_car_000285.jpg": "89800",
        "a_car_000340.jpg": "7393",
        "a_car_000365.jpg": "13817",
        "a_car_000672.jpg": "32712",
        "a_car_000768.jpg": "17146",
        "a_car_000375.jpg": None,
        "a_car_000429.jpg": None,
    },
    "unipen": {"03266.png": None, "03428.png": None},
    "lectaurep_held_out": {"FRAN_0025_2863_L-0-061.jpg": "930"},
}
"""Files whose labels were found wrong by eye, with the right digits; None where the picture does not show them."""


def corrected(crops: list[Crop], labels: dict[str, str | None]) -> list[Crop]:
    """The crops with wrong labels corrected and undecidable ones left out."""
    pairs = [(crop, labels.get(crop.name, crop.text)) for crop in crops]
    return [replace(crop, text=text) for crop, text in pairs if text is not None]


def ppocr(crops: list[Crop], model: Path | None) -> dict[str, dict[str, float]]:
    """PP-OCRv6 small on every crop, free and limited to numbers, beside ours crop by crop on one thread."""
    peer, reader = PPOCR(Settings().runs / "published"), Reader(model, threads=1)
    texts: dict[str, list[str]] = {"ppocr": [], "ppocr_numbers": []}
    ours_ms, theirs_ms = [], []
    for crop in crops:
        began = time.process_time()
        probabilities = peer.probabilities(crop.pixels)
        texts["ppocr"].append(peer.read(probabilities, numbers_only=False))
        theirs_ms.append(1000 * (time.process_time() - began))
        texts["ppocr_numbers"].append(peer.read(probabilities, numbers_only=True))
        began = time.process_time()
        reader.number(crop.pixels)
        ours_ms.append(1000 * (time.process_time() - began))
    timing = {"cpu_ms": float(np.median(theirs_ms)), "our_cpu_ms": float(np.median(ours_ms))}
    pairs = {name: list(zip(found, crops, strict=True)) for name, found in texts.items()}
    return {
        name: {"crops": len(crops), "right": sum(text == crop.text for text, crop in some) / len(crops)} | timing
        for name, some in pairs.items()
    }


def _stricter(number: Number, threshold: float) -> Number:
    """The same number at a stricter target error: a doubt below that threshold."""
    return number if number.confidence >= threshold else replace(number, outcome=Outcome.DOUBT)


def each_model(pixels: list[np.ndarray], texts: list[str], reader: Reader) -> dict[str, float]:
    """The fraction that the first and the second model get right alone, that either does, and on which they agree."""
    engine, second = reader.number_engine, reader.second_engine
    pairs = read_crops(engine, second, [CropStrips.of(crop) for crop in pixels])
    first = [_best_text(pair.first if pair else None) for pair in pairs]
    other = [_best_text(pair.second if pair else None) for pair in pairs]
    rows = list(zip(first, other, texts, strict=True))
    agreed = [first == text for first, second, text in rows if first == second]
    return {
        "first": sum(first == text for first, _, text in rows) / len(rows),
        "second": sum(second == text for _, second, text in rows) / len(rows),
        "either": sum(text in (first, second) for first, second, text in rows) / len(rows),
        "agree": len(agreed) / len(rows),
        "right_where_they_agree": sum(agreed) / max(1, len(agreed)),
    }


def _best_text(reading: Reading | None) -> str:
    if reading is None:
        return ""
    numbers = likely_numbers(rank_candidates(reading.hypotheses))
    return numbers[0].text if numbers else ""


def right_told(crops: list[Crop], model: Path | None, *, alphabet: str) -> float:
    """The fraction right with the alphabet limited to these characters."""
    numbers = Reader(model).numbers((crop.pixels for crop in crops), alphabet=alphabet)
    return sum(number.text == crop.text for number, crop in zip(numbers, crops, strict=True)) / len(crops)


def pages(folder: Path, model: Path | None) -> dict[str, float]:
    """Whole forms: fields whose number was found with the right text, and how many other numbers were read."""
    reader = Reader(model)
    right = fields_in_all = found = elsewhere = 0
    for _, page, boxes in forms(folder):
        numbers = reader.page(page)
        for field in boxes:
            there = [number for number in numbers if _is_within(number, field)]
            fields_in_all += bool(field.text)
            found += bool(field.text and there)
            right += bool(field.text) and any(number.text == field.text for number in there)
        read = [number for number in numbers if number.outcome is Outcome.READ]
        elsewhere += sum(not any(_is_within(number, field) for field in boxes) for number in read)
    share = right / fields_in_all
    return {"fields": fields_in_all, "found": found / fields_in_all, "right": share, "read_elsewhere": elsewhere}


def _is_within(number: Number, field: Field) -> bool:
    """Whether the middle of a number lies in a field's box."""
    left, top, right, bottom = field.box
    box = number.box
    return (
        box is not None and left <= (box.left + box.right) / 2 <= right and top <= (box.top + box.bottom) / 2 <= bottom
    )


def read_share(numbers: list[Number], right: list[bool]) -> dict[str, float]:
    """How many are read, how many of those are wrong, and the upper 95 % bound of that."""
    read = [ok for number, ok in zip(numbers, right, strict=True) if number.outcome is Outcome.READ]
    wrong = len(read) - sum(read)
    error = wrong / len(read) if read else 0.0
    return {
        "read": len(read) / len(numbers),
        "error": error,
        "error_at_most": clopper_pearson(wrong, len(read)).high if read else 1.0,
    }


def calibration_error(numbers: list[Number], right: list[bool]) -> float:
    """Mean distance of confidence from truth over bins of equal numbers (Nixon et al. 2019), where there is a text."""
    pairs = sorted((number.confidence, ok) for number, ok in zip(numbers, right, strict=True) if number.text)
    bins = [part for part in np.array_split(np.array(pairs, float), BINS) if len(part)]
    return float(sum(abs(part[:, 0].mean() - part[:, 1].mean()) * len(part) for part in bins) / len(pairs))


def distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def not_read(crops: list[Crop], model: Path | None) -> float:
    """The share of crops without a number whose outcome is not `read`."""
    numbers = Reader(model).numbers(crop.pixels for crop in crops)
    return sum(number.outcome is not Outcome.READ for number in numbers) / len(numbers)


def speed(crops: list[Crop], model: Path | None) -> dict[str, float]:
    """Milliseconds for a crop of 200x60 on one core, and crops a second in batches on two."""
    resized = [np.asarray(cv2.resize(crop.pixels, (200, 60), interpolation=cv2.INTER_AREA)) for crop in crops[:200]]
    one, two = Reader(model, threads=1), Reader(model, threads=2)
    cv2.setNumThreads(1)
    one.number(resized[0])
    single = [seconds(lambda crop=crop: one.number(crop)) for crop in resized]  # type: ignore[misc]
    batch = median_seconds({"two": lambda: two.numbers(resized * 3)}, rounds=5)["two"]
    return {"ms_200x60": 1000 * float(np.median(single)), "a_second_two_threads": 3 * len(resized) / batch}


def memory(crops: list[Crop], model: Path | None, *, calls: int) -> dict[str, float]:
    """Megabytes by which the process grows over this many single calls, after a warm-up."""
    reader = Reader(model, threads=1)
    for crop in crops[:200]:
        reader.number(crop.pixels)
    before = resident_mb()
    for call in range(calls):
        reader.number(crops[call % len(crops)].pixels)
    return {"calls": calls, "growth_mb": resident_mb() - before}


def resident_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def peers(crops: list[Crop]) -> dict[str, dict[str, float]]:
    """General OCR on the first crops, and ours on the same ones."""
    some = crops[:PEER_CROPS]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "crops.npz"
        named: dict[str, Any] = {f"crop{number}": crop.pixels for number, crop in enumerate(some)}
        np.savez(file, **named)
        return {name: _peer(name, file, Path(place) / f"{name}.json", some) for name in ("rapidocr", "tesseract")}


@dataclass(frozen=True)
class Answers:
    """What a peer wrote."""

    texts: list[str]
    ms: float
    memory_mb: float


def _peer(name: str, crops: Path, answers: Path, some: list[Crop]) -> dict[str, float]:
    script = str(Path(__file__).with_name("ocr_peers.py"))
    # -P: the folder of the script holds a module that is named as one of the standard library
    subprocess.run([_peer_python(), "-P", script, name, str(crops), str(answers)], check=True)
    found = Answers(**json.loads(answers.read_text(encoding="utf-8")))
    right = [text == crop.text for text, crop in zip(found.texts, some, strict=True)]
    errors = sum(distance(text, crop.text) for text, crop in zip(found.texts, some, strict=True))
    return {
        "crops": len(some),
        "right": sum(right) / len(some),
        "character_error": errors / max(1, sum(len(crop.text) for crop in some)),
        "ms": found.ms,
        "memory_mb": found.memory_mb,
    }


def _peer_python() -> str:
    """The interpreter of an environment with the peers, made once."""
    python = PEERS / "bin" / "python"
    if not python.is_file():
        venv.create(PEERS, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "rapidocr-onnxruntime==1.4.4"], check=True)
    return str(python.absolute())


if __name__ == "__main__":
    main()
