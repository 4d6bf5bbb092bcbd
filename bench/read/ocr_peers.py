"""General OCR on crops, for comparison; `bench.read.numbers` runs it in its own environment.

    PEER_PYTHON bench/read/ocr_peers.py rapidocr|tesseract CROPS.npz ANSWERS.json

RapidOCR recognises each crop as one line of text, as its users would a field; Tesseract reads it as one line with a
digit whitelist. It needs the peer (`rapidocr-onnxruntime`; the program `tesseract`), NumPy and Pillow, and does not
import Handigit.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Read = Callable[[np.ndarray], str]


def rapidocr() -> Read:
    """RapidOCR's recogniser, with the models of its wheel."""
    from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-not-found]

    engine = RapidOCR()

    def read(crop: np.ndarray) -> str:
        answer, _ = engine(np.repeat(crop[:, :, None], 3, axis=2), use_det=False, use_cls=False, use_rec=True)
        return str(answer[0][0]) if answer else ""

    return read


def tesseract() -> Read:
    """Debian's Tesseract, one line a picture."""

    def read(crop: np.ndarray) -> str:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            Image.fromarray(crop).resize((crop.shape[1] * 2, crop.shape[0] * 2)).save(file.name)
            command = ["tesseract", file.name, "-", "--psm", "7", "-c", "tessedit_char_whitelist=0123456789"]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    return read


def main(peer: str, crops: Path, answers: Path) -> None:
    """Read every crop; milliseconds are a median over single crops."""
    read = {"rapidocr": rapidocr, "tesseract": tesseract}[peer]()
    with np.load(crops, allow_pickle=False) as stored:
        pictures = [stored[f"crop{number}"] for number in range(len(stored.files))]
    texts, taken = [], []
    read(pictures[0])
    for picture in pictures:
        began = time.perf_counter()
        texts.append("".join(character for character in read(picture) if character.isdecimal()))
        taken.append(1000 * (time.perf_counter() - began))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"texts": texts, "ms": float(np.median(taken)), "memory_mb": memory}
    answers.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
