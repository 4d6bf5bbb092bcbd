"""Speed of the networks alone, through ONNX Runtime on one core, and whether eight-bit arithmetic pays off.

    python -m bench.read.model_speed --model digit=runs/digit-seed0/model.onnx resnet=runs/resnet-seed0/model.onnx

Milliseconds per digit at batch 256 and at batch 1, on normalised glyphs; all files and all their forms take turns, and
the median of the rounds counts. Eight-bit forms are made here, and stored only with --forms: `int8_static` with ranges
calibrated on glyphs that the model was trained on, `int8_dynamic` with ranges found at run time. The decision is made
on the MNIST part of the run's own validation glyphs (for a file in a run's folder); the test set is reported beside it
and decides nothing. Adds to bench/results/model_speed.json, by name.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime import quantization

from bench.results_io import RESULTS, load_results, named_file, save_results
from bench.timing import Work, median_seconds
from handigit.data import Dataset, load
from handigit.read import Engine
from handigit.settings import Settings
from handigit.train.digit_data import DigitData, load_digit_data
from handigit.train.export import quantise
from handigit.train.run import Run

FORMS = ("float32", "int8_static", "int8_dynamic")
BATCHES = {256: 15, 1: 300}
"""Batch sizes, each with its rounds."""
CALIBRATION_GLYPHS = 1000


def quantised(model: Path, form: str, glyphs: np.ndarray, folder: Path) -> Path:
    """The file in one of its forms; an eight-bit one lies in the folder."""
    if form == "float32":
        return model
    target = folder / f"{form}.onnx"
    if form == "int8_static":
        target.write_bytes(quantise(model.read_bytes(), np.split(glyphs, range(100, len(glyphs), 100))))
        return target
    ready = folder / "prepared.onnx"
    quantization.shape_inference.quant_pre_process(model, ready, skip_symbolic_shape=True)
    # It turns the last layer's weights round but not the shapes noted for them; and its convolutions take no signed
    # weights.
    network = onnx.load(ready)
    del network.graph.value_info[:]
    quantization.quantize_dynamic(network, target, weight_type=quantization.QuantType.QUInt8)
    ready.unlink()
    return target


def session(model: Path) -> ort.InferenceSession:
    """ONNX Runtime on one core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def work(model: Path, glyphs: np.ndarray) -> Work:
    """One call with this batch."""
    ready = session(model)
    return partial(ready.run, None, {ready.get_inputs()[0].name: glyphs})


def percent_right(model: Path, dataset: Dataset) -> float:
    """Of the set's glyphs, through the file alone."""
    answers = Engine(model, threads=1).logits(dataset.as_floats()).argmax(axis=1)
    return 100 * float((answers == dataset.labels).mean())


def prepared_by(model: Path, data: Path) -> DigitData | None:
    """What the run beside the file learnt from and chose by, its non-digits aside; None where there is no run."""
    if not (model.parent / "recipe.toml").is_file():
        return None
    recipe = Run.open(model.parent).recipe.replace(outliers=())
    return load_digit_data(recipe, folder=data, device=torch.device("cpu"))


def part_of(dataset: Dataset, whole: Dataset) -> Dataset:
    """The glyphs that are also in another set, pixel for pixel."""
    known = set(whole.pixels())
    return dataset.take(np.flatnonzero([glyph in known for glyph in dataset.pixels()]))


def make_forms(model: Path, data: Path, folder: Path) -> tuple[dict[str, Path], dict[str, dict[str, float]]]:
    """The file in every form, with each form's size and accuracy."""
    mnist, test = load("mnist", folder=data), load("mnist", folder=data, part="test")
    run = prepared_by(model, data)
    learnt = (run.train if run else mnist).as_floats()[:, None]
    sample = learnt[np.random.default_rng(0).choice(len(learnt), CALIBRATION_GLYPHS, replace=False)]
    files, found = {}, {}
    for form in FORMS:
        files[form] = quantised(model, form, sample, folder)
        found[form] = {"bytes": files[form].stat().st_size, "test": percent_right(files[form], test)}
        if run:
            held_out = part_of(run.validation, mnist)
            found[form] |= {"validation": percent_right(files[form], held_out), "validation_n": len(held_out)}
    return files, found


def clock(files: dict[str, dict[str, Path]], glyphs: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds a digit by model, form and batch; all take turns."""
    found: dict[str, dict[str, dict[str, float]]] = {
        name: {form: {} for form in forms} for name, forms in files.items()
    }
    for batch, rounds in BATCHES.items():
        works = {
            f"{name} {form}": work(file, glyphs[:batch])
            for name, forms in files.items()
            for form, file in forms.items()
        }
        for key, taken in median_seconds(works, rounds=rounds).items():
            name, form = key.rsplit(" ", 1)
            found[name][form][f"ms_at_{batch}"] = 1e3 * taken / batch
    return found


def main() -> None:
    """Make every form, score, time all together, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", type=named_file, required=True, metavar="NAME=FILE")
    parser.add_argument("--forms", type=Path, help="a folder in which to keep the eight-bit files")
    parser.add_argument("--output", type=Path, default=RESULTS / "model_speed.json")
    given, data = parser.parse_args(), Settings().data
    files: dict[str, dict[str, Path]] = {}
    scores: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, model in given.model:
            folder = (given.forms or Path(place)) / name
            folder.mkdir(parents=True, exist_ok=True)
            files[name], scores[name] = make_forms(model, data, folder)
        times = clock(files, load("mnist", folder=data, part="test").as_floats()[:, None])
    load_average = round(os.getloadavg()[0], 2)
    for name, forms in scores.items():
        found: dict[str, Any] = {form: forms[form] | times[name][form] for form in forms}
        save_results(given.output, load_results(given.output) | {name: found | {"load_average": load_average}})
        for form in forms:
            print(f"{name} {form}: " + "  ".join(f"{key} {value:.4g}" for key, value in found[form].items()))


if __name__ == "__main__":
    main()
