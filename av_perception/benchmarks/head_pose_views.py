# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Talking faces of clips, turned by known angles and seen by the face mesh.

How a head is turned in the clip itself is told by the person's own face: its plane of symmetry
gives yaw and roll, and in the mean over the clip the person looks into the camera, which is pitch
zero. The mean mesh of others has no part in the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.benchmarks.turned_faces import TexturedFace, draw_turned, textured_face
from av_perception.errors import UserError
from av_perception.head_pose.face_mesh import FaceMesh, FaceSquare, facing_points
from av_perception.head_pose.learning import STEP_S, TurnedViews
from av_perception.head_pose.mean_mesh import build_mean_mesh
from av_perception.head_pose.procrustes import fit_similarity
from av_perception.simulation.clips import read_clip_images
from av_perception.vision.face_detector import CenterFaceDetector

RATE_HZ = 1 / STEP_S
STILL_VIEWS = 240  # of each talker, to learn from
TURNING_VIEWS = 200
WIDTHS_PX = (40.0, 160.0)
TURNING_WIDTH_PX = 90.0
IMAGE_PER_FACE = 2.2  # size of the images, in widths of the face
LARGEST_DEG = np.array([60.0, 30.0, 25.0])  # yaw, pitch, roll of still views
TURN_DEG = np.array([26.0, 10.0, 6.0])  # standard deviation of where people turn to
REST_S = (0.3, 1.2)  # between two turns
SPEED_DEG_S = 120.0  # mean of a turn, beside its least duration
LEAST_TURN_S = 0.25
BOX_ERROR = 0.06  # of its width: standard deviation of where detectors draw a box


@dataclass(frozen=True)
class Talker:
    """A person: name, mesh of every image of the clip (frames, P, 3) [px], and the face."""

    name: str
    frontal: np.ndarray
    face: TexturedFace


def load_talkers(folder: Path, mesh: FaceMesh, every: int = 2) -> list[Talker]:
    """Load everybody in the clips of a folder. Raises UserError without any."""
    detector = CenterFaceDetector()
    clips = sorted(folder.glob('*.mpg'))
    if len(clips) < 2:
        raise UserError(f'{folder} holds {len(clips)} clips of talkers (*.mpg); 2 are needed')
    return [_load(path, mesh, detector, every) for path in clips]


def _load(path: Path, mesh: FaceMesh, detector: CenterFaceDetector, every: int) -> Talker:
    images = read_clip_images(path)[0][::every]
    boxes = detector.detect(images[0]).boxes
    if not len(boxes):
        raise UserError(f'{path} shows no face in its first image')
    square = FaceSquare.of_box(boxes[0])
    points = []
    for image in (images[0], *images):  # the first twice: from its own square
        points.append(mesh.points(image, square))
        square = FaceSquare.of_points(points[-1])
    frontal = np.array(points[1:])
    own = build_mean_mesh([frontal])
    middle = len(images) // 2
    turned = fit_similarity(own.points, facing_points(frontal[middle]), own.weights)
    return Talker(
        path.stem, frontal, textured_face(images[middle], frontal[middle], turned.rotation)
    )


def still_angles(count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 3) yaw, pitch and roll [rad] of all over the range."""
    return np.radians(random.uniform(-LARGEST_DEG, LARGEST_DEG, (count, 3)))


def turning_angles(count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 3) angles [rad] of a head that rests, turns with least jerk, and rests again.

    At RATE_HZ. Flash and Hogan, J. of Neuroscience 5(7), 1985.
    """
    rows = [np.zeros((1, 3))]
    here = np.zeros(3)
    while sum(map(len, rows)) < count:
        there = np.clip(random.normal(0, TURN_DEG), -LARGEST_DEG + 5, LARGEST_DEG - 5)
        turn_s = LEAST_TURN_S + np.abs(there - here).max() / SPEED_DEG_S
        rest = round(RATE_HZ * random.uniform(*REST_S))
        share = np.linspace(0, 1, max(2, round(RATE_HZ * turn_s)))[:, None]
        rows += [np.tile(here, (rest, 1)), here + (there - here) * _least_jerk(share)]
        here = there
    return np.radians(np.concatenate(rows)[:count])


def _least_jerk(share: np.ndarray) -> np.ndarray:
    return share**3 * (10 - 15 * share + 6 * share**2)


def learning_data(talker: Talker, mesh: FaceMesh, seed: int) -> tuple[TurnedViews, TurnedViews]:
    """Look at a talker from all sides, still and turning, as `learn_head_pose_model` wants it."""
    random = np.random.default_rng(seed)
    angles = still_angles(STILL_VIEWS, random)
    widths = random.uniform(*WIDTHS_PX, STILL_VIEWS)
    still = see_still(talker, angles, widths, mesh, seed)
    turning = turning_angles(TURNING_VIEWS, random)
    return still, see_turning(talker, turning, TURNING_WIDTH_PX, mesh, seed + 10)


def see_still(
    talker: Talker, angles: np.ndarray, widths: np.ndarray, mesh: FaceMesh, seed: int
) -> TurnedViews:
    """Look at still views (N, 3) [rad] at widths (N,) [px], each as if seen for the first time."""
    random = np.random.default_rng(seed)
    points = []
    for angle, width in zip(angles, widths):
        image, box = _drawn(talker, angle, width, random)
        square = FaceSquare.of_points(mesh.points(image, FaceSquare.of_box(box)))
        points.append(mesh.points(image, square))
    return TurnedViews(angles, np.array(points))


def see_turning(
    talker: Talker, angles: np.ndarray, width: float, mesh: FaceMesh, seed: int
) -> TurnedViews:
    """Look at a sequence (T, 3) [rad] at a width [px], as the estimator does."""
    random = np.random.default_rng(seed)
    points: list[np.ndarray] = []
    last_box = None
    for angle in angles:
        image, box = _drawn(talker, angle, width, random)
        if last_box is None:
            square = FaceSquare.of_points(mesh.points(image, FaceSquare.of_box(box)))
        else:
            square = FaceSquare.of_points(points[-1]).moved(last_box, box)
        last_box = box
        points.append(mesh.points(image, square))
    return TurnedViews(angles, np.array(points))


def _drawn(
    talker: Talker, angles: np.ndarray, width: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a view with sensor noise, and the box that a detector would draw."""
    side = int(np.ceil(IMAGE_PER_FACE * width))
    image, box = draw_turned(talker.face, angles, width, (side, side))
    noisy = image + random.normal(0, 2.0, image.shape)
    error = random.normal(0, BOX_ERROR * box[2], 4)
    return np.clip(noisy, 0, 255).round().astype(np.uint8), box + error
