"""General OCR on whole pages, for comparison; `bench.read.pages` runs it in its own environment.

    PEER_PYTHON bench/read/page_peer.py PAGES.npz ANSWERS.json

RapidOCR's whole pipeline (detector, classifier of direction, recogniser) with the models of its wheel, on one thread.
It needs `rapidocr` and `onnxruntime`, and does not import Handigit.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(pages: Path, answers: Path) -> None:
    """The texts on each page with their boxes (left, top, right, bottom), and the processor seconds of each page."""
    from rapidocr import RapidOCR  # type: ignore[import-not-found]

    threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    engine = RapidOCR(params={f"EngineConfig.onnxruntime.{name}": count for name, count in threads.items()})
    with np.load(pages, allow_pickle=False) as stored:
        pictures = [stored[f"page{number}"] for number in range(len(stored.files))]
    engine(np.full((200, 200, 3), 255, np.uint8))
    found = []
    for picture in pictures:
        began = time.process_time()
        output = engine(np.repeat(picture[:, :, None], 3, axis=2))
        seconds = time.process_time() - began
        boxes: list[np.ndarray] | np.ndarray = [] if output.boxes is None else np.asarray(output.boxes)
        corners = [[*box.min(axis=0).tolist(), *box.max(axis=0).tolist()] for box in boxes]
        found.append({"seconds": seconds, "texts": list(zip(output.txts or (), corners, strict=True))})
    answers.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
