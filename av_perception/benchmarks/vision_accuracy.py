# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time and accuracy of the visual front end on rendered stereo pairs of people at known places.

Photographs of people stand side by side before the head's cameras. What differs between people is
drawn as anthropometry has it: the size of their heads (8 %, children among them) and how far the
center of the head lies behind the face (8 mm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.stats import chi2, norm

from av_perception.errors import UserError
from av_perception.geometry.boxes import box_overlap
from av_perception.interfaces import Face
from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.assets import PHOTOGRAPHS, asset_path
from av_perception.simulation.cutout import Cutout, cut_out
from av_perception.simulation.rendering import StereoPair, StereoRenderer
from av_perception.simulation.simulator import FACE_DEPTH_M, face_surfaces
from av_perception.vision.front_end import VisualFrontEnd

PEOPLE = 4
HEAD_SIZE_SPREAD = 0.08  # standard deviation, relative
HEAD_DEPTH_SPREAD_M = 0.008  # standard deviation
WARM_UP = 3  # pairs before the time is taken
LEAST_PAIRS = 5
FACE_SIZE_M = (0.135, 0.18)  # width and height of the box that detectors draw
_SIZES = 5  # different sizes of every photograph
_WALL_M = 5.0
_EYE_HEIGHT_M = 1.4
_MARGIN_PX = 40  # between people and the sides of the image


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the faces that were found."""

    #: root mean square error of the depth [m]
    depth_rmse_m: float
    #: the same relative to the distance
    depth_error: float
    #: mean normalized estimation error squared of the three coordinates; 3 with right covariances
    nees: float
    #: where 95 % of such means lie, were the errors of all faces independent
    nees_band: tuple[float, float]
    #: mean squared error over what is stated across the image, down, and along the ray; 1 each
    #: with right covariances
    components: tuple[float, float, float] = (float('nan'), float('nan'), float('nan'))


@dataclass(frozen=True)
class Measurement:
    """Figures at one distance."""

    #: of the people from the head [m]
    distance_m: float
    #: median time of a pair [ms]
    median_ms: float
    #: 99th percentile of the time of a pair [ms]
    p99_ms: float
    #: mean time of each stage [ms]
    stages_ms: dict[str, float]
    #: share in [0, 1] of the people who were found
    recall: float
    #: false faces per image
    false_faces: float
    #: with two cameras
    stereo: Accuracy
    #: with the left camera alone
    mono: Accuracy


class PeopleBeforeCamera:
    """PEOPLE people at about one distance, side by side over the width that both images show."""

    def __init__(self, camera: CameraGeometry):
        self.camera = camera
        self._renderer = StereoRenderer(camera, _WALL_M, _EYE_HEIGHT_M, 0)
        self._people = [person for sizes in people_of_all_sizes() for person in sizes]

    def draw(
        self, index: int, distance_m: float, random: np.random.Generator
    ) -> tuple[StereoPair, np.ndarray]:
        """Draw a pair of images.

        Parameters
        ----------
        index
            Number of the pair.
        distance_m
            Mean distance of the people [m].
        random
            Draws people and places.

        Returns
        -------
        pair
            The images.
        centers
            (PEOPLE, 3) head centers [m] in the left optical frame.
        """
        camera = self.camera
        share = (random.permutation(PEOPLE) + 0.5) / PEOPLE
        left = camera.disparity(0.95 * distance_m) + _MARGIN_PX
        width = camera.width - left - _MARGIN_PX
        u = left + share * width + random.uniform(-8, 8, PEOPLE)
        v = camera.height * random.uniform(0.3, 0.6, PEOPLE)
        z = distance_m * random.uniform(0.95, 1.05, PEOPLE)
        x = (u - camera.center[0]) / camera.focal[0] * z
        y = (v - camera.center[1]) / camera.focal[1] * z
        centers = np.column_stack([x, y, z])
        people = [self._people[k] for k in random.permutation(len(self._people))[:PEOPLE]]
        depths = FACE_DEPTH_M + HEAD_DEPTH_SPREAD_M * random.normal(size=PEOPLE)
        return self._renderer.render(index, people, face_surfaces(centers, depths)), centers


def measure(
    front_end: VisualFrontEnd,
    one_eyed: VisualFrontEnd,
    scene: PeopleBeforeCamera,
    distance_m: float,
    pairs: int,
    progress: Callable[[], None] = lambda: None,
) -> Measurement:
    """Measure both front ends at one distance.

    Parameters
    ----------
    front_end, one_eyed
        The first gets pairs, and its time is taken; the second gets the left images alone.
    scene
        Draws the pairs.
    distance_m
        Of the people [m].
    pairs
        How many pairs are timed, after WARM_UP others.
    progress
        Called after each pair.

    Returns
    -------
    Measurement
        Time and accuracy.
    """
    random = np.random.default_rng(0)
    stages = []
    stereo = Errors()
    mono = Errors()
    for index in range(WARM_UP + pairs):
        pair, centers = scene.draw(index, distance_m, random)
        stereo.add(front_end.process(index, pair.left, pair.right).faces, centers, scene.camera)
        if index >= WARM_UP:
            stages.append(front_end.times_ms)
        mono.add(one_eyed.process(index, pair.left, None).faces, centers, scene.camera)
        progress()
    return _summarize(distance_m, stages, stereo, mono)


def _summarize(
    distance_m: float, stages: list[dict[str, float]], stereo: Errors, mono: Errors
) -> Measurement:
    """Make the figures from the times [ms] of the stages of timed pairs, and all errors."""
    times = [sum(stage.values()) for stage in stages]
    return Measurement(
        distance_m=distance_m,
        median_ms=float(np.median(times)),
        p99_ms=float(np.percentile(times, 99)),
        stages_ms={name: float(np.mean([s[name] for s in stages])) for name in stages[0]},
        recall=float(np.mean(stereo.is_found)),
        false_faces=stereo.false / len(stereo.is_found),
        stereo=stereo.accuracy(distance_m),
        mono=mono.accuracy(distance_m),
    )


def nees_band(count: int) -> tuple[float, float]:
    """Compute where 95 % of the means of chi-square draws of 3 degrees of freedom lie.

    Parameters
    ----------
    count
        How many independent draws a mean is of.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN without draws.
    """
    if not count:
        return float('nan'), float('nan')
    low, high = chi2.ppf((0.025, 0.975), 3 * count) / count
    return float(low), float(high)


class Errors:
    """Faces against the truth.

    Attributes
    ----------
    is_found
        Of every image: (people,) bool.
    false
        Faces that are nobody's, or somebody's second.
    depth_m, depth_std_m
        Error of the depth of each face that was found, and what its covariance says [m].
    """

    def __init__(self) -> None:
        self.is_found: list[np.ndarray] = []
        self.false = 0
        self.depth_m: list[float] = []
        self.depth_std_m: list[float] = []
        self._nees: list[float] = []
        self._components: list[np.ndarray] = []

    def add(self, faces: Iterable[Face], centers: np.ndarray, camera: CameraGeometry) -> None:
        """Compare the faces of one image with (people, 3) head centers [m]."""
        self.add_some(faces, centers, np.arange(len(centers)), camera)

    def add_some(
        self,
        faces: Iterable[Face],
        centers: np.ndarray,
        chosen: np.ndarray,
        camera: CameraGeometry,
    ) -> None:
        """Compare the faces of one image with the people of the indices `chosen` alone."""
        is_found = np.zeros(len(centers), bool)
        for face in faces:
            middle = face.box[:2] + face.box[2:] / 2
            distance = np.linalg.norm(camera.project(centers) - middle, axis=1)
            # Where one head covers another, the size of the box says whose it is.
            overlap = box_overlap(face.box[None], _true_boxes(centers, camera))[0]
            owner = int(np.argmax(np.where(distance < face.box[2] / 2, overlap, -1.0)))
            if distance[owner] >= face.box[2] / 2 or is_found[owner]:
                self.false += 1
                continue
            is_found[owner] = True
            if owner in chosen:
                self._note(face, centers[owner])
        self.is_found.append(is_found[chosen])

    def _note(self, face: Face, center: np.ndarray) -> None:
        error = face.position - center
        self.depth_m.append(error[2])
        self.depth_std_m.append(float(np.sqrt(face.covariance[2, 2])))
        self._nees.append(error @ np.linalg.solve(face.covariance, error))
        axes = _view_axes(center)
        stated = np.einsum('ki,ij,kj->k', axes, face.covariance, axes)
        self._components.append((axes @ error) ** 2 / stated)

    def accuracy(self, distance_m: float) -> Accuracy:
        """Rate all faces so far, of people at a distance [m]."""
        band = nees_band(len(self._nees))
        if not self.depth_m:
            return Accuracy(float('nan'), float('nan'), float('nan'), band)
        rmse = float(np.sqrt(np.mean(np.square(self.depth_m))))
        across, down, along = (float(mean) for mean in np.mean(self._components, axis=0))
        nees = float(np.mean(self._nees))
        return Accuracy(rmse, rmse / distance_m, nees, band, (across, down, along))


def _view_axes(center: np.ndarray) -> np.ndarray:
    """(3, 3) unit vectors across the view of a point (3,) of the optical frame, down, along."""
    along = center / np.linalg.norm(center)
    down = np.cross(along, [1.0, 0.0, 0.0])
    down /= np.linalg.norm(down)
    return np.stack([np.cross(down, along), down, along])


def _true_boxes(centers: np.ndarray, camera: CameraGeometry) -> np.ndarray:
    """(people, 4) boxes [px] that faces of average size have at (people, 3) centers [m]."""
    size = np.array(camera.focal) * FACE_SIZE_M / centers[:, 2:]
    return np.hstack([camera.project(centers) - size / 2, size])


def people_of_all_sizes() -> list[list[Cutout]]:
    """Cut out the person of each photograph, with heads of several sizes."""
    sizes = 1 + HEAD_SIZE_SPREAD * norm.ppf((np.arange(_SIZES) + 0.5) / _SIZES)
    return [[_resized(person, size) for size in sizes] for person in map(_person, PHOTOGRAPHS)]


def people_of_photographs() -> dict[str, list[Cutout]]:
    """Cut out the people of all photographs, by the names of these."""
    return {name: [_person(name)] for name in PHOTOGRAPHS}


def _person(name: str) -> Cutout:
    """Cut a person out of a photograph of the simulation."""
    path = str(asset_path(name))
    image = cv2.imread(path)
    if image is None:
        raise UserError(f'cannot read {path}: remove it, so that it is fetched again')
    return cut_out([image], PHOTOGRAPHS[name].face, name)[0]


def _resized(person: Cutout, size: float) -> Cutout:
    """Make the head `size` times as large."""
    kind = cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR
    texture = cv2.resize(person.texture, None, fx=size, fy=size, interpolation=kind)
    return Cutout(texture, (person.center + 0.5) * size - 0.5, person.face_radii_m * size)
