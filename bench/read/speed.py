"""How fast digits are read, beside the same ONNX file run by plain ONNX Runtime in the same process, in turn.

    python -m bench.read.speed

Pictures are MNIST's first 10,000 test images as uint8 arrays (drawn by our synthesiser where MNIST is missing). Each
figure is the median of several rounds; reader and peer take turns, so a busy machine slows both. The peer is handed
finished glyphs: the difference is what finding the ink, normalising it and calibrating the answer cost.
Writes bench/results/read_speed.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench.results_io import RESULTS, save_results
from bench.timing import median_seconds, seconds
from handigit.data import load
from handigit.errors import DataError
from handigit.read import Reader
from handigit.read.engine import EMBEDDED
from handigit.settings import Settings

MODEL = EMBEDDED / "digit.onnx"
ROUNDS = 7


def pictures() -> np.ndarray:
    """10,000 pictures of 28x28."""
    try:
        return load("mnist", folder=Settings().data, part="test").glyphs
    except DataError:
        from handigit.synth import digits

        return digits(10_000, seed=0).glyphs


def plain_session(threads: int) -> Callable[[np.ndarray], object]:
    """ONNX Runtime as anyone would use it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})


def one_by_one(images: np.ndarray) -> dict[str, float]:
    """Median milliseconds for one picture on one core."""
    reader, plain = Reader(threads=1), plain_session(1)
    glyphs = images[:, None].astype(np.float32) / 255
    reader.digit(images[0])
    ours, theirs = [], []
    for index in range(1000):
        ours.append(seconds(partial(reader.digit, images[index])))
        theirs.append(seconds(partial(plain, glyphs[index : index + 1])))
    return {"reader_ms": 1e3 * statistics.median(ours), "onnxruntime_ms": 1e3 * statistics.median(theirs)}


def batched(images: np.ndarray) -> dict[str, float]:
    """Median pictures a second, 10,000 at a time, on two threads."""
    reader, plain = Reader(threads=2), plain_session(2)
    glyphs, as_list = images[:, None].astype(np.float32) / 255, list(images)
    taken = median_seconds(
        {
            "reader_a_second": lambda: reader.digits(as_list),
            "onnxruntime_a_second": lambda: [plain(glyphs[i : i + 256]) for i in range(0, len(glyphs), 256)],
        },
        rounds=ROUNDS,
    )
    return {name: len(images) / time for name, time in taken.items()}


def cold_start(image: np.ndarray) -> dict[str, float]:
    """Median seconds of `handigit read one.png`, the interpreter's start included."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.png"
        Image.fromarray(image).save(file)
        command = [str(Path(sys.executable).with_name("handigit")), "read", str(file), "--format", "jsonl"]
        works = {
            "handigit_read_s": partial(subprocess.run, command, check=True, capture_output=True),
            "python_import_numpy_s": partial(subprocess.run, [sys.executable, "-c", "import numpy"], check=True),
        }
        return median_seconds(works, rounds=ROUNDS)


def main() -> None:
    """Measure, print, keep."""
    images = pictures()
    result = {"one_by_one_one_core": one_by_one(images), "batched_two_threads": batched(images)}
    result["cold_start"] = cold_start(images[0])
    result["machine"] = {"load_average": os.getloadavg()[0], "cores": float(os.cpu_count() or 0)}
    save_results(RESULTS / "read_speed.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
