"""Face embeddings: unit vectors that are alike for two images of one person and not for two people.

The image is turned, scaled and moved (least-squares similarity, Umeyama 1991) so that the five landmarks lie where face recognition
networks expect them in 112 x 112 pixels (the positions of Deng et al. 2019, "ArcFace"), and a network such as that of Chen et al. 2018,
"MobileFaceNets", maps it to a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.vision.network import load_network

ALIGNED_SIZE = 112
ALIGNED_LANDMARKS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


@dataclass(frozen=True)
class FaceEmbedderConfig:
    """model_file: ONNX file of an embedding network, '' for no embeddings. Its input is (1, 3, 112, 112) RGB, (value - 127.5) / 128."""

    model_file: str = ''


class FaceEmbedder(Protocol):
    """Describes faces of a (height, width, 3) uint8 BGR image whose landmarks are (N, 5, 2) pixels."""

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(N, E) unit vectors; E = 0 when there are no embeddings."""


def make_face_embedder(config: FaceEmbedderConfig) -> FaceEmbedder:
    """The embedder that the configuration names. Raises UserError when its model file is missing or unfit."""
    return NetworkEmbedder(config) if config.model_file else NoEmbedder()


class NoEmbedder:
    """Gives every face an empty embedding."""

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(N, 0)."""
        return np.zeros((len(landmarks), 0))


class NetworkEmbedder:
    """A face recognition network on OpenCV's DNN module, one pass per face (published files often fix the batch to 1)."""

    def __init__(self, config: FaceEmbedderConfig):
        self._network = load_network(config.model_file, 'face embedding')
        try:
            self.size = self._forward(np.zeros((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)).size
        except cv2.error as error:
            raise UserError(f'the face embedding model {config.model_file} does not take images of 112 x 112: name another file') from error

    def embed(self, image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(N, E) unit vectors."""
        vectors = [self._forward(align_face(image_bgr, points)) for points in landmarks]
        vectors = np.array(vectors, float).reshape(-1, self.size)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _forward(self, face: np.ndarray) -> np.ndarray:
        self._network.setInput(cv2.dnn.blobFromImage(face, 1 / 128, mean=(127.5, 127.5, 127.5), swapRB=True))
        return self._network.forward().reshape(-1).copy()


def align_face(image_bgr: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(112, 112, 3) face with its landmarks (5, 2) [px of the image] moved to the standard places."""
    return cv2.warpAffine(image_bgr, similarity_transform(landmarks, ALIGNED_LANDMARKS), (ALIGNED_SIZE, ALIGNED_SIZE))


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3) rotation, scale and shift, without reflection, that takes (N, 2) source points to target points in least squares."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    power = max(np.sum(a ** 2), 1e-12)
    cosine, sine = np.sum(a * b) / power, np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / power
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([rotation, target.mean(axis=0) - rotation @ source.mean(axis=0)])
