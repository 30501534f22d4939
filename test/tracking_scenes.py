"""Planted scenes for the tracker's tests: a head, faces seen by its camera, and acoustic maps of a known array.

The maps are piecewise affine by construction, so the truth about the sound is known without any acoustics code.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from av_perception.data import AudioFeatures, Face, VisualFeatures
from av_perception.geometry import direction_from_angles
from av_perception.heads.profile import CameraGeometry, HeadProfile, MicrophoneArray

PERIOD_NS = 40_000_000
START_NS = 1_000_000_000
HEAD = HeadProfile(
    'test', MicrophoneArray(((0.05, 0.05, 0.0), (0.05, -0.05, 0.0), (-0.05, -0.05, 0.0), (-0.05, 0.05, 0.0)), position=(0.0, 0.0, 0.1)),
    CameraGeometry(640, 480, (500.0, 500.0), (320.0, 240.0), baseline=0.1))


def stamp(frame: int) -> int:
    """Stamp of a frame at 25 Hz."""
    return START_NS + frame * PERIOD_NS


def stereo_covariance(position_optical: np.ndarray, pixel_sd: float = 1.0, disparity_sd: float = 0.5) -> np.ndarray:
    """(3, 3) covariance of a triangulated point of HEAD's camera."""
    x, y, z = position_optical
    f, b = HEAD.camera.focal[0], HEAD.camera.baseline
    jacobian = np.array([[z / f, 0, -x * z / (f * b)], [0, z / f, -y * z / (f * b)], [0, 0, -z * z / (f * b)]])
    return jacobian @ np.diag([pixel_sd ** 2, pixel_sd ** 2, disparity_sd ** 2]) @ jacobian.T


def face_at(position_base, rng=None, embedding=None) -> Face:
    """The face of a head at position_base [m] in the head's base frame, with triangulation noise when rng is given."""
    optical = HEAD.camera.base_from_optical.inverse().apply(np.asarray(position_base, float))
    covariance = stereo_covariance(optical)
    if rng is not None:
        optical = optical + np.linalg.cholesky(covariance) @ rng.normal(size=3)
    size = 0.2 * HEAD.camera.focal[0] / optical[2]
    box = np.array([*(HEAD.camera.project(optical) - size / 2), size, size])
    return Face(box, 0.9, np.zeros((5, 2)), optical, covariance, np.zeros(0) if embedding is None else np.asarray(embedding, float))


def image(frame: int, *faces: Face) -> VisualFeatures:
    """The features of one image."""
    return VisualFeatures(stamp(frame), tuple(faces))


def sound_map(subbands=16, pieces=32, features=48, variance=0.05, seed=0) -> SimpleNamespace:
    """An acoustic map whose pieces tile the horizontal plane and whose features vary smoothly with the direction."""
    rng = np.random.default_rng(seed)
    centers = direction_from_angles(2 * np.pi * np.arange(pieces) / pieces, np.zeros(pieces))
    wave = rng.normal(0, 4.0, (subbands, 1, features, 3))
    phase = rng.uniform(0, 2 * np.pi, (subbands, 1, features))
    angle = (wave * centers[None, :, None, :]).sum(-1) + phase
    slope = np.cos(angle)[..., None] * wave
    offset = np.sin(angle) - (slope * centers[None, :, None, :]).sum(-1)
    precision = np.tile(np.eye(3) * (pieces / 6) ** 2, (subbands, pieces, 1, 1))
    return SimpleNamespace(
        log_weight=np.full((subbands, pieces), -np.log(pieces)), center=np.tile(centers, (subbands, 1, 1)), center_precision=precision,
        center_log_det_precision=np.linalg.slogdet(precision)[1], slope=slope, offset=offset, variance=np.full((subbands, pieces,
            features), variance),
        log_range=np.full(features, np.log(2.0)))


def sound_from(acoustic_map, frame: int, directions, rng, voice_activity=0.9) -> AudioFeatures:
    """Features of talkers at unit `directions` in the array frame, one (or None for nobody: uniform noise) per sub-band in turn."""
    subbands, pieces, size = acoustic_map.offset.shape
    vectors = rng.uniform(-1, 1, (subbands, size))
    for k in range(subbands):
        direction = directions[k % len(directions)]
        if direction is not None:
            piece = int(np.argmax(acoustic_map.center[k] @ direction))
            clean = acoustic_map.slope[k, piece] @ direction + acoustic_map.offset[k, piece]
            vectors[k] = clean + rng.normal(0, np.sqrt(acoustic_map.variance[k, piece]))
    return AudioFeatures(stamp(frame), voice_activity, vectors, np.ones((subbands, size), bool), np.ones(subbands), np.ones(subbands, bool))


def direction_to(position_base) -> np.ndarray:
    """Unit direction from HEAD's array to a point in the base frame."""
    relative = HEAD.microphones.base_from_array.inverse().apply(np.asarray(position_base, float))
    return relative / np.linalg.norm(relative)
