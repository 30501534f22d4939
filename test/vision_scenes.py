"""Stereo images with a disparity that is known exactly, for the tests of vision."""

import os
from pathlib import Path

import cv2
import numpy as np

from av_perception.heads.profile import CameraGeometry
from av_perception.vision.face_detector import FaceDetections
from av_perception.vision.triangulation import TriangulationConfig

CAMERA = CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5), 0.10)
DATA = Path(os.environ.get('AV_PERCEPTION_DATA', Path(__file__).resolve().parents[2] / 'shared' / 'data'))
OVERSAMPLING = 4
# Older releases read CenterFace, but neither today's YuNet nor the embedding network.
OPENCV_READS_NEW_MODELS = tuple(int(part) for part in cv2.__version__.split('.')[:2]) >= (4, 8)


class Texture:
    """A sum of plane waves: its value at any sub-pixel place is exact. Variance 1."""

    def __init__(self, random: np.random.Generator, waves: int = 20, highest: float = 1.2):
        wave_number = np.exp(random.uniform(np.log(0.15), np.log(highest), waves))
        angle = random.uniform(0, 2 * np.pi, waves)
        self._x, self._y = wave_number * np.cos(angle), wave_number * np.sin(angle)
        self._phase = random.uniform(0, 2 * np.pi, waves)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        phase = x[..., None] * self._x + y[..., None] * self._y + self._phase
        return np.cos(phase).sum(axis=-1) * np.sqrt(2 / len(self._phase))


def textured_pair(box, disparity, random, noise=2.0, background_disparity=3.0, row_offset=0.0, face=None, contrast=30.0):
    """Left and right grey image: a textured box (x, y, width, height) before a background of another texture."""
    face, background = face or Texture(random), Texture(random)
    images = []
    top, bottom = max(int(box[1]) - 8, 0), min(int(box[1] + box[3]) + 9, CAMERA.height)
    # Only what a search can meet is drawn: the sums of waves are slow.
    first, last = max(int(box[0]) - 90, 0), min(int(box[0] + box[2]) + 30, CAMERA.width)
    y, x = np.mgrid[top:bottom, first:last].astype(float)
    for shift, background_shift, rows in ((0.0, 0.0, 0.0), (disparity, background_disparity, row_offset)):
        inside = (x + shift >= box[0]) & (x + shift < box[0] + box[2]) & (y - rows >= box[1]) & (y - rows < box[1] + box[3])
        image = np.full((CAMERA.height, CAMERA.width), 120.0)
        image[top:bottom, first:last] += contrast * np.where(inside, face(x + shift, y - rows), background(x + background_shift, y))
        image += random.normal(0, noise, image.shape)
        images.append(np.clip(np.round(image), 0, 255).astype(np.uint8))
    return images


def photograph_pair(photograph, face, positions, random, noise=2.0, face_width_m=0.135):
    """Left and right BGR image of flat copies of a photograph before a textured wall.

    face: (x, y, width, height) of the face in the photograph; positions: (N, 3) [m] of the face centres in the left optical frame.
    Rendered at OVERSAMPLING times the size and averaged, so that sub-pixel shifts are true ones.
    """
    size = (CAMERA.width * OVERSAMPLING, CAMERA.height * OVERSAMPLING)
    coarse = random.integers(60, 200, (12, 16, 3)).astype(np.uint8)
    wall = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    images = []
    for side in (0, 1):
        image = wall.copy()
        for position in sorted(positions, key=lambda p: -p[2]):
            center = CAMERA.project(position) - [side * CAMERA.disparity(position[2]), 0]
            _paste(image, photograph, face, center, CAMERA.focal[0] * face_width_m / position[2])
        small = cv2.resize(image, (CAMERA.width, CAMERA.height), interpolation=cv2.INTER_AREA)
        images.append(np.clip(np.round(small + random.normal(0, noise, small.shape)), 0, 255).astype(np.uint8))
    return images


def _paste(image, photograph, face, center, width_px):
    x, y, width, height = face
    left, top = max(int(x - 0.4 * width), 0), max(int(y - 0.35 * height), 0)
    part = photograph[top:int(y + 1.4 * height), left:int(x + 1.4 * width)]
    scale = OVERSAMPLING * width_px / width
    part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    middle = np.array([x + width / 2 - left, y + height / 2 - top]) * scale
    corner = (np.asarray(center) + 0.5) * OVERSAMPLING - middle
    whole = np.floor(corner).astype(int)
    shift = np.array([[1.0, 0.0, corner[0] - whole[0]], [0.0, 1.0, corner[1] - whole[1]]])
    part = cv2.warpAffine(part, shift, part.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    low, high = np.maximum(whole, 0), np.minimum(whole + part.shape[1::-1], image.shape[1::-1])
    image[low[1]:high[1], low[0]:high[0]] = part[low[1] - whole[1]:high[1] - whole[1], low[0] - whole[0]:high[0] - whole[0]]


class PlantedDetector:
    """Reports the boxes it was given, whatever the image."""

    noise_factor = 1.0

    def __init__(self, boxes):
        self.boxes = np.asarray(boxes, float).reshape(-1, 4)

    def detect(self, image_bgr):
        return FaceDetections(self.boxes, np.linspace(0.9, 0.5, len(self.boxes)), landmarks_of(self.boxes))


def landmarks_of(boxes):
    """(N, 5, 2) landmarks that say the same range as the widths of the (N, 4) boxes."""
    config = TriangulationConfig()
    offsets = np.array([[-0.5, -0.15], [0.5, -0.15], [0, 0.3], [-0.4, 0.75], [0.4, 0.75]]) * config.landmark_span_m / config.face_width_m
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    return boxes[:, None, :2] + boxes[:, None, 2:] / 2 + offsets * boxes[:, None, 2:3]
