"""Cameras and scanners: uneven light, shadow, tilt, blur, noise, low contrast and JPEG, applied to RGB pictures."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True, slots=True)
class Camera:
    """How a sheet is captured; the defaults are a perfect scanner.

    `uneven` and `shadow`: maximum fraction of light lost; `tilt`: maximum shift of a corner as a fraction of the side;
    `blur_px` and `noise`: standard deviations (pixels, grey levels); `contrast`: remaining fraction of the distance
    between black and white; `jpeg`: quality, 0 for no compression.
    """

    uneven: float = 0.0
    shadow: float = 0.0
    tilt: float = 0.0
    blur_px: float = 0.0
    noise: float = 0.0
    contrast: float = 1.0
    jpeg: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Camera":
        """A scanner in a third of the cases, else a phone."""
        if rng.random() < 1 / 3:
            return cls(blur_px=float(rng.uniform(0, 0.8)), noise=float(rng.uniform(0, 4)))
        return cls(
            uneven=float(rng.uniform(0, 0.45)),
            shadow=float(rng.choice([0, rng.uniform(0.1, 0.5)])),
            tilt=float(rng.uniform(0, 0.05)),
            blur_px=float(rng.gamma(2, 0.5)),
            noise=float(rng.gamma(2, 2.5)),
            contrast=float(rng.uniform(0.45, 1)),
            jpeg=int(rng.integers(35, 95)),
        )


def photograph(
    page: UInt8[np.ndarray, "h w 3"], camera: Camera, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """The sheet as captured by the camera, of the same size."""
    if camera.tilt > 0:
        page = _tilt(page, camera.tilt, rng)
    light = _draw_light(page.shape[0], page.shape[1], camera, rng)
    captured = page.astype(np.float32) * light[..., None]
    if camera.blur_px > 0:
        captured = np.asarray(cv2.GaussianBlur(captured, (0, 0), camera.blur_px), np.float32)
    captured = 128 + (captured - 128) * camera.contrast
    if camera.noise > 0:
        captured += rng.normal(0, camera.noise, captured.shape[:2])[..., None] + rng.normal(
            0, camera.noise / 3, captured.shape
        )
    page = np.clip(np.rint(captured), 0, 255).astype(np.uint8)
    return _compress(page, camera.jpeg) if camera.jpeg else page


def _draw_light(height: int, width: int, camera: Camera, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Light on each pixel, 0..1: a lamp at a random position, and a shadow with a soft edge."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    lamp_x, lamp_y = rng.uniform(-0.2, 1.2, 2)
    distance = (x - lamp_x) ** 2 + (y - lamp_y) ** 2
    light = 1 - camera.uneven * distance / max(float(distance.max()), 1e-6)
    if camera.shadow > 0:
        angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.08)
        edge = (x - rng.uniform(0.3, 0.7)) * np.cos(angle) + (y - rng.uniform(0.3, 0.7)) * np.sin(angle)
        light = light * (1 - camera.shadow / (1 + np.exp(-np.clip(edge / softness, -30, 30))))
    return np.asarray(light, np.float32)


def _tilt(page: UInt8[np.ndarray, "h w 3"], tilt: float, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """The sheet in perspective; beyond its edges the edge colour continues."""
    height, width = page.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-tilt, tilt, (4, 2)) * [width, height]
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return np.asarray(cv2.warpPerspective(page, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _compress(page: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """The page after JPEG compression."""
    _, data = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
