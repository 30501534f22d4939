# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time and accuracy of the visual front end on rendered stereo pairs of people at known places.

Photographs of people stand side by side before the head's cameras. What differs between people is drawn as anthropometry has it: the size
of their heads (8 %, children among them) and how far the centre of the head lies behind the face (8 mm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.stats import chi2, norm

from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.assets import PHOTOGRAPHS, asset_path
from av_perception.simulation.cutout import Cutout, cut_out
from av_perception.simulation.rendering import StereoRenderer
from av_perception.simulation.simulator import FACE_DEPTH_M, face_surfaces
from av_perception.vision.front_end import VisualFrontEnd

PEOPLE = 4
HEAD_SIZE_SPREAD, HEAD_DEPTH_SPREAD_M = 0.08, 0.008
_SIZES = 5  # different sizes of every photograph
_WALL_M, _EYE_HEIGHT_M, _WARM_UP = 5.0, 1.4, 3


@dataclass(frozen=True)
class Accuracy:
    """Of the faces that were found. depth_rmse_m; depth_error: the same relative to the distance; nees: mean normalised estimation error
    squared of the three coordinates, 3 when the covariances are right, and nees_band: where 95 % of such means lie, were the errors of
    all faces independent."""

    depth_rmse_m: float
    depth_error: float
    nees: float
    nees_band: tuple[float, float]


@dataclass(frozen=True)
class Measurement:
    """At one distance: median and 99th percentile of the time of a pair and means of its stages [ms]; recall in [0, 1]; false_faces per
    image; accuracy with two cameras and with the left one alone."""

    distance_m: float
    median_ms: float
    p99_ms: float
    stages_ms: dict[str, float]
    recall: float
    false_faces: float
    stereo: Accuracy
    mono: Accuracy


class PeopleBeforeCamera:
    """Draws pairs of PEOPLE people at about one distance, side by side over the width that both images show."""

    def __init__(self, camera: CameraGeometry):
        self._camera = camera
        self._renderer = StereoRenderer(camera, _WALL_M, _EYE_HEIGHT_M, 0)
        sizes = 1 + HEAD_SIZE_SPREAD * norm.ppf((np.arange(_SIZES) + 0.5) / _SIZES)
        self._people = [
            _resized(person, size) for person in map(_person, PHOTOGRAPHS) for size in sizes
        ]

    def draw(self, index: int, distance_m: float, random: np.random.Generator):
        """(StereoPair, (PEOPLE, 3) head centres [m] in the left optical frame)."""
        camera = self._camera
        share = (random.permutation(PEOPLE) + 0.5) / PEOPLE
        margin = camera.disparity(0.95 * distance_m) + 40
        u = margin + share * (camera.width - margin - 40) + random.uniform(-8, 8, PEOPLE)
        v = camera.height * random.uniform(0.3, 0.6, PEOPLE)
        z = distance_m * random.uniform(0.95, 1.05, PEOPLE)
        centers = np.column_stack(
            [
                (u - camera.center[0]) / camera.focal[0] * z,
                (v - camera.center[1]) / camera.focal[1] * z,
                z,
            ]
        )
        people = [self._people[k] for k in random.permutation(len(self._people))[:PEOPLE]]
        depths = FACE_DEPTH_M + HEAD_DEPTH_SPREAD_M * random.normal(size=PEOPLE)
        return self._renderer.render(index, people, face_surfaces(centers, depths)), centers


def measure(
    front_end: VisualFrontEnd,
    one_eyed: VisualFrontEnd,
    camera: CameraGeometry,
    scene: PeopleBeforeCamera,
    distance_m: float,
    pairs: int,
    progress: Callable[[], None] = lambda: None,
) -> Measurement:
    """`pairs` pairs through `front_end`, which is timed, and their left images through `one_eyed`. progress() after each."""
    random, times, stages, stereo, mono = np.random.default_rng(0), [], [], _Errors(), _Errors()
    for index in range(_WARM_UP + pairs):
        pair, centers = scene.draw(index, distance_m, random)
        faces = front_end.process(index, pair.left, pair.right).faces
        stereo.add(faces, centers, camera)
        if index >= _WARM_UP:
            stages.append(front_end.times_ms)
            times.append(sum(front_end.times_ms.values()))
        mono.add(one_eyed.process(index, pair.left, None).faces, centers, camera)
        progress()
    return Measurement(
        distance_m,
        float(np.median(times)),
        float(np.percentile(times, 99)),
        {name: float(np.mean([stage[name] for stage in stages])) for name in stages[0]},
        float(np.mean(stereo.found)),
        stereo.false / (_WARM_UP + pairs),
        stereo.accuracy(distance_m),
        mono.accuracy(distance_m),
    )


def nees_band(count: int) -> tuple[float, float]:
    """Where 95 % of the means of `count` independent chi-square draws of 3 degrees of freedom lie."""
    return (
        tuple(float(chi2.ppf(share, 3 * count) / count) for share in (0.025, 0.975))
        if count
        else (float('nan'), float('nan'))
    )


class _Errors:
    """Faces against the truth. found: of every person in every image; false: faces that are nobody's."""

    def __init__(self):
        self.found, self.false, self._depth, self._nees = [], 0, [], []

    def add(self, faces, centers: np.ndarray, camera: CameraGeometry) -> None:
        """The faces of one image against (people, 3) head centres [m]."""
        found = np.zeros(len(centers), bool)
        for face in faces:
            distance = np.linalg.norm(
                camera.project(centers) - face.box[:2] - face.box[2:] / 2, axis=1
            )
            nearest = int(np.argmin(distance))
            if distance[nearest] >= face.box[2] / 2 or found[nearest]:
                self.false += 1
                continue
            found[nearest] = True
            error = face.position - centers[nearest]
            self._depth.append(error[2])
            self._nees.append(error @ np.linalg.solve(face.covariance, error))
        self.found.append(found)

    def accuracy(self, distance_m: float) -> Accuracy:
        """Of all faces so far."""
        if not self._depth:
            return Accuracy(float('nan'), float('nan'), float('nan'), nees_band(0))
        rmse = float(np.sqrt(np.mean(np.square(self._depth))))
        return Accuracy(
            rmse, rmse / distance_m, float(np.mean(self._nees)), nees_band(len(self._nees))
        )


def _person(name: str) -> Cutout:
    return cut_out([cv2.imread(str(asset_path(name)))], PHOTOGRAPHS[name].face, name)[0]


def _resized(person: Cutout, size: float) -> Cutout:
    """The same with a head `size` times as large."""
    texture = cv2.resize(
        person.texture,
        None,
        fx=size,
        fy=size,
        interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR,
    )
    return Cutout(texture, (person.center + 0.5) * size - 0.5, person.face_radii_m * size)
