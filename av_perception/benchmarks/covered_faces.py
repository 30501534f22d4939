# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Positions of faces that somebody nearer covers in part, against the truth.

Two couples stand before the head's cameras; of each, one person stands nearer and covers some of
the other's face, from the side or, being shorter, from below with head and shoulders. The errors
of the farther person's position are rated by how much of the face shows: a covered face may be
located coarsely, but its covariance must say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.vision_accuracy import Errors
from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.cutout import FACE_WIDTH_M, Cutout
from av_perception.simulation.rendering import StereoPair, StereoRenderer
from av_perception.simulation.simulator import FACE_DEPTH_M, face_surfaces
from av_perception.vision.front_end import VisualFrontEnd

# Share of the face that somebody covers, lowest and highest, in each situation.
SITUATIONS = {'free': (0.0, 0.05), 'a third covered': (0.2, 0.4), 'half covered': (0.4, 0.6)}
_COUPLES = 2
_WALL_M = 5.0
_EYE_HEIGHT_M = 1.4
_HEAD_RADIUS_M = 0.085  # half the width of a head with its hair
_DEPTH_SPREAD_M = 0.008  # standard deviation of the face before the center of the head
_WRONG_DEPTH_STDS = 5.0  # an error of so many standard deviations is a wrong depth


@dataclass(frozen=True)
class CoveredAccuracy:
    """Accuracy of the farther people's faces in one situation."""

    #: name in SITUATIONS
    situation: str
    #: people who stood so
    people: int
    #: share in [0, 1] of them whose face was found
    recall: float
    #: root mean square error of the depth [m]
    depth_rmse_m: float
    #: median standard deviation that was stated for the depth [m]
    stated_std_m: float
    #: share in [0, 1] of the faces whose depth is wrong by more than five stated deviations
    wrong_depths: float
    #: mean normalized estimation error squared of the three coordinates; 3 with right covariances
    nees: float
    #: where 95 % of such means lie, were the errors of all faces independent
    nees_band: tuple[float, float]


class Couples:
    """Two couples, one person of each behind the other, at about one distance.

    Parameters
    ----------
    camera
        A stereo pair.
    faces
        Whom to draw: the sizes in which there is each of two faces or more. The two of a couple
        have different ones, or the nearer would be the farther one's best match.
    """

    def __init__(self, camera: CameraGeometry, faces: Sequence[Sequence[Cutout]]):
        self.camera = camera
        self._faces = faces
        self._renderer = StereoRenderer(camera, _WALL_M, _EYE_HEIGHT_M, 1)

    def draw(
        self, index: int, distance_m: float, random: np.random.Generator
    ) -> tuple[StereoPair, np.ndarray]:
        """Draw a pair of images.

        Parameters
        ----------
        index
            Number of the pair.
        distance_m
            Mean distance of the farther people [m].
        random
            Draws people and places.

        Returns
        -------
        pair
            The images; people 0 and 1 are the farther ones.
        centers
            (4, 3) head centers [m] in the left optical frame.
        """
        centers = _places(self.camera, distance_m, random)
        couples = [random.permutation(len(self._faces))[:2] for _ in range(_COUPLES)]
        sizes = [self._faces[int(face)] for face in np.transpose(couples).ravel()]
        people = [of_all[int(random.integers(len(of_all)))] for of_all in sizes]
        face_depth = FACE_DEPTH_M + _DEPTH_SPREAD_M * random.normal(size=2 * _COUPLES)
        return self._renderer.render(index, people, face_surfaces(centers, face_depth)), centers


def _places(camera: CameraGeometry, distance_m: float, random: np.random.Generator) -> np.ndarray:
    """(4, 3) head centers [m]: the farther people's, then the nearer ones'."""
    focal = camera.focal[0]
    left = camera.disparity(0.5 * distance_m) + 0.1 * camera.width
    slot = (0.9 * camera.width - left) / _COUPLES
    u = left + (np.arange(_COUPLES) + random.uniform(0.35, 0.65, _COUPLES)) * slot
    v = camera.height * random.uniform(0.3, 0.5, _COUPLES)
    z = distance_m * random.uniform(0.95, 1.05, _COUPLES)
    near_z = z * random.uniform(0.55, 0.85, _COUPLES)
    # The near head's edge lies where it covers this share of the far face's width.
    covered = random.uniform(-0.3, 0.65, _COUPLES)
    apart = FACE_WIDTH_M * focal / z * (0.5 - covered) + _HEAD_RADIUS_M * focal / near_z
    near_u = u + random.choice([-1, 1], _COUPLES) * apart
    near_v = v + random.uniform(-0.1, 0.5, _COUPLES) * FACE_WIDTH_M * focal / z
    pixels = np.column_stack([np.append(u, near_u), np.append(v, near_v)])
    depth = np.append(z, near_z)[:, None]
    rays = (pixels - np.array(camera.center)) / np.array(camera.focal)
    return np.hstack([rays * depth, depth])


def measure_covered(
    front_end: VisualFrontEnd,
    scene: Couples,
    distances_m: Sequence[float],
    pairs: int,
    progress: Callable[[], None] = lambda: None,
) -> list[CoveredAccuracy]:
    """Measure a front end on faces that are covered in part.

    Parameters
    ----------
    front_end
        Gets the pairs.
    scene
        Draws them.
    distances_m
        Of the farther people [m].
    pairs
        At each distance.
    progress
        Called after each pair.

    Returns
    -------
    list of CoveredAccuracy
        One for each situation.
    """
    random = np.random.default_rng(1)
    errors = {name: Errors() for name in SITUATIONS}
    for index, distance_m in enumerate(np.repeat(distances_m, pairs)):
        pair, centers = scene.draw(index, distance_m, random)
        faces = front_end.process(index, pair.left, pair.right).faces
        for name, (least, most) in SITUATIONS.items():
            covered = 1.0 - pair.shown[:_COUPLES]
            chosen = np.flatnonzero((covered >= least) & (covered <= most))
            errors[name].add_some(faces, centers, chosen, scene.camera)
        progress()
    return [_rate(name, errors[name]) for name in SITUATIONS]


def _rate(situation: str, errors: Errors) -> CoveredAccuracy:
    depth_m = np.array(errors.depth_m)
    std_m = np.array(errors.depth_std_m)
    accuracy = errors.accuracy(1.0)
    found = np.concatenate(errors.is_found) if errors.is_found else np.zeros(0, bool)
    return CoveredAccuracy(
        situation,
        people=len(found),
        recall=float(found.mean()) if len(found) else float('nan'),
        depth_rmse_m=accuracy.depth_rmse_m,
        stated_std_m=float(np.median(std_m)) if len(std_m) else float('nan'),
        wrong_depths=float(np.mean(np.abs(depth_m) > _WRONG_DEPTH_STDS * std_m))
        if len(std_m)
        else float('nan'),
        nees=accuracy.nees,
        nees_band=accuracy.nees_band,
    )
