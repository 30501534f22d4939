# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses of talkers nobody has learned from, by several methods on the same meshes.

Every talker is held out once: the mean mesh, the pieces and the dynamics come from the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from av_perception.benchmarks.head_pose_views import (
    Talker,
    learning_data,
    see_still,
    see_turning,
    still_angles,
    turning_angles,
)
from av_perception.head_pose.face_mesh import FaceMesh, facing_points
from av_perception.head_pose.learning import (
    TurnedViews,
    fit_regions,
    kalman_model,
    learn_head_pose_model,
    measured_angles,
)
from av_perception.head_pose.mean_mesh import HeadMeasurement, MeanMesh
from av_perception.head_pose.model import HeadPoseModel
from av_perception.head_pose.rotations import angles_from_rotation
from av_perception.head_pose.shape import (
    infer_angles,
    learn_shape_system,
    scaled,
    shape_features,
)
from av_perception.numerics.plds_filter import filter_plds
from av_perception.numerics.plds_smoother import smooth_plds

SIZES_PX = (40, 60, 90, 150)
VIEWS_PER_SIZE = 48
TURNING_VIEWS = 250
TURNING_PX = 60.0
EVERY = 2  # of the moments there is an image: 12.5 a second
GAPS_S = (0.2, 0.5, 1.0)
BETWEEN_GAPS_S = 0.8
OUTLIERS = 0.05  # share of the images
FRONTAL_DEG = 45.0  # of yaw
INTERVAL = 1.96  # standard deviations: 95 %
_FIVE = ((33, 133), (263, 362), (1, 1), (61, 61), (291, 291))  # eyes, nose, corners of the mouth
_FOCAL = 450.0  # [px]

Poses = tuple[np.ndarray, np.ndarray]  # angles (T, 3) [rad], covariances (T, 3, 3) or NaN
Method = Callable[[TurnedViews, np.ndarray], Poses]


@dataclass(frozen=True)
class TalkerData:
    """A talker's views: to learn from, and to test with when the talker is held out.

    still: by size [px].
    """

    talker: Talker
    learned_still: TurnedViews
    learned_turning: TurnedViews
    still: dict[int, TurnedViews]
    turning: TurnedViews


def look_at(talker: Talker, mesh: FaceMesh, seed: int) -> TalkerData:
    """Draw all views of a talker and look at them."""
    still, turning = learning_data(talker, mesh, seed)
    random = np.random.default_rng(seed + 100)
    sizes = {
        size: see_still(
            talker,
            still_angles(VIEWS_PER_SIZE, random),
            np.full(VIEWS_PER_SIZE, float(size)),
            mesh,
            seed + 200 + size,
        )
        for size in SIZES_PX
    }
    path = turning_angles(TURNING_VIEWS, random)
    test = see_turning(talker, path, TURNING_PX, mesh, seed + 300)
    return TalkerData(talker, still, turning, sizes, test)


class Contest:
    """The methods, learned from all talkers but one."""

    def __init__(self, others: list[TalkerData]):
        still = [one.learned_still for one in others]
        turning = [one.learned_turning for one in others]
        self.model = learn_head_pose_model([one.talker.frontal for one in others], still, turning)
        self._mesh = self.model.mesh
        moving = [measured_angles(self._mesh, one.points)[0] for one in turning]
        self.kalman = kalman_model(self.model, moving).system
        self._regions = fit_regions(self._mesh, still)
        shapes, scale = learn_shape_system(still, self.model.system)
        self._shapes = scaled(shapes, scale)
        self.methods: dict[str, Method] = {
            'mesh, each image alone': self._alone,
            'five points, PnP': self._pnp,
            'GLLiM, each image alone': self._memoryless,
            'Kalman filter': self._filtered_by_kalman,
            'PLDS filter': self._filtered,
            'PLDS smoother': self._smoothed,
            'PLDS filter on the shape': self._filtered_shapes,
        }

    def measured(self, views: TurnedViews) -> tuple[np.ndarray, np.ndarray]:
        """Angles (T, 3) and noise scales (T,) of what the images say."""
        angles, residuals = measured_angles(self._mesh, views.points)
        scale = [self.model.noise_scale(HeadMeasurement(np.zeros(3), r, 1.0)) for r in residuals]
        return angles, np.array(scale)

    def _alone(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        return _held(self.measured(views)[0], seen), _unknown(len(seen))

    def _pnp(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        angles = np.array([pnp_angles(self._mesh, points) for points in views.points])
        return _held(angles, seen), _unknown(len(seen))

    def _memoryless(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        means, covariances = infer_angles(self._regions, self.measured(views)[0])
        return _held(means, seen), _held(covariances, seen)

    def _filtered_by_kalman(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        values = np.where(seen[:, None], self.measured(views)[0], np.nan)
        result = filter_plds(self.kalman, values)
        return result.means[:, :3], result.covariances[:, :3, :3]

    def _filtered(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        return filtered_angles(self.model, *self.measured(views), seen)

    def _smoothed(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        angles, scale = self.measured(views)
        result = smooth_plds(self.model.system, np.where(seen[:, None], angles, np.nan), scale)
        bias = _bias_of(self.model, result.pieces.states)
        return result.states.means[:, :3], result.states.covariances[:, :3, :3] + bias

    def _filtered_shapes(self, views: TurnedViews, seen: np.ndarray) -> Poses:
        values = np.where(seen[:, None], shape_features(views.points), np.nan)
        result = filter_plds(self._shapes, values)
        return result.means[:, :3], result.covariances[:, :3, :3]


def filtered_angles(
    model: HeadPoseModel, angles: np.ndarray, scale: np.ndarray, seen: np.ndarray
) -> Poses:
    """Filter (T, 3) measured angles as `HeadFilter` does, without its frames."""
    result = filter_plds(model.system, np.where(seen[:, None], angles, np.nan), scale)
    bias = _bias_of(model, result.pieces)
    return result.means[:, :3], result.covariances[:, :3, :3] + bias


def _bias_of(model: HeadPoseModel, pieces: np.ndarray) -> np.ndarray:
    """(T, 3, 3) what (T, K) pieces do not know of a person."""
    weights = pieces[:, :-1] / np.maximum(pieces[:, :-1].sum(axis=1, keepdims=True), 1e-12)
    return np.einsum('tk,kij->tij', weights, model.bias[:-1])


def _held(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Hold the last value that was seen; the first at the beginning."""
    last = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), 0))
    return values[last]


def _unknown(count: int) -> np.ndarray:
    return np.full((count, 3, 3), np.nan)


def pnp_angles(mesh: MeanMesh, points: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll [rad] of five points of a mesh (P, 3) [px] by perspective (EPnP's task).

    The points are those of the mesh, which are finer than a detector's.
    """
    model = np.array([mesh.points[list(pair)].mean(axis=0) for pair in _FIVE])
    image = np.array([points[list(pair), :2].mean(axis=0) for pair in _FIVE])
    middle = points[:, :2].mean(axis=0)
    camera = np.array([[_FOCAL, 0, middle[0]], [0, _FOCAL, middle[1]], [0, 0, 1.0]])
    _, turn, _ = cv2.solvePnP(model, image, camera, np.zeros(4), flags=cv2.SOLVEPNP_SQPNP)
    optical_from_head = cv2.Rodrigues(turn)[0]
    return angles_from_rotation(facing_points(optical_from_head.T).T)


@dataclass
class Scores:
    """Errors (N, 3) [rad] of one method, by what they were measured on; NaN for no answer."""

    errors: dict[str, list[np.ndarray]]
    inside: list[np.ndarray]

    def mean_deg(self, what: str) -> list[float]:
        """Give the mean absolute errors of yaw, pitch and roll [deg]."""
        if what not in self.errors:
            return [float('nan')] * 3
        errors = np.abs(np.concatenate(self.errors[what]))
        return np.degrees(np.nanmean(errors, axis=0)).tolist()

    def covered(self) -> list[float]:
        """Give the shares of the truth within the intervals; NaN for a method without."""
        inside = np.concatenate(self.inside)
        known = ~np.isnan(inside).any(axis=1)
        return inside[known].mean(axis=0).tolist() if known.any() else [float('nan')] * 3


def compete(everybody: list[TalkerData], held_out: list[int]) -> dict[str, Scores]:
    """Hold every chosen talker out once, and score all methods."""
    scores: dict[str, Scores] = {}
    for index in held_out:
        contest = Contest([one for k, one in enumerate(everybody) if k != index])
        for name, method in contest.methods.items():
            score = scores.setdefault(name, Scores({}, []))
            _score_still(method, everybody[index], score)
            _score_turning(method, everybody[index].turning, score)
        _score_outliers(contest, everybody[index].turning, scores, index)
    return scores


def _score_still(method: Method, data: TalkerData, score: Scores) -> None:
    """Every view on its own, as if seen for the first time."""
    everything = []
    for size, views in data.still.items():
        errors = np.array(
            [
                method(_view(views, k), np.ones(1, bool))[0][0] - views.truth[k]
                for k in range(len(views.truth))
            ]
        )
        frontal = np.abs(views.truth[:, 0]) < np.radians(FRONTAL_DEG)
        score.errors.setdefault(f'{size} px', []).append(errors[frontal])
        score.errors.setdefault('still', []).append(errors[frontal])
        score.errors.setdefault('profiles', []).append(errors[~frontal])
        everything.append(errors[frontal])
    together = np.concatenate(everything)
    # How a person holds the head when looking into the camera is not known to a degree.
    centered = together - np.nanmedian(together, axis=0)
    score.errors.setdefault('centered', []).append(centered)


def _view(views: TurnedViews, index: int) -> TurnedViews:
    return TurnedViews(views.truth[index : index + 1], views.points[index : index + 1])


def _score_turning(method: Method, views: TurnedViews, score: Scores) -> None:
    count = len(views.truth)
    seen = np.arange(count) % EVERY == 0
    angles, covariances = method(views, seen)
    errors = angles - views.truth
    score.errors.setdefault('turning', []).append(errors[seen])
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    inside = np.where(np.isnan(deviations), np.nan, np.abs(errors) < INTERVAL * deviations)
    score.inside.append(inside[seen])
    for gap_s in GAPS_S:
        hidden = gap_mask(count, gap_s)
        angles, _ = method(views, seen & ~hidden)
        score.errors.setdefault(f'gap {gap_s}', []).append((angles - views.truth)[hidden])


def gap_mask(count: int, gap_s: float) -> np.ndarray:
    """(count,) True where nothing is seen: gaps of `gap_s`, with faces seen between them."""
    gap = round(25 * gap_s)
    period = gap + round(25 * BETWEEN_GAPS_S)
    return np.arange(count) % period >= period - gap


def _score_outliers(
    contest: Contest, views: TurnedViews, scores: dict[str, Scores], seed: int
) -> None:
    """Score what is made of images some of which give any angles."""
    random = np.random.default_rng(seed)
    angles, scale = contest.measured(views)
    wrong = random.random(len(angles)) < OUTLIERS
    wrong[:5] = False
    angles = np.where(wrong[:, None], random.uniform(-0.9, 0.9, angles.shape), angles)
    seen = np.arange(len(angles)) % EVERY == 0
    results = {
        'mesh, each image alone': _held(angles, seen),
        'Kalman filter': filter_plds(
            contest.kalman, np.where(seen[:, None], angles, np.nan)
        ).means[:, :3],
        'PLDS filter': filtered_angles(contest.model, angles, scale, seen)[0],
    }
    for name, found in results.items():
        error = (found - views.truth)[seen]
        scores[name].errors.setdefault('outliers', []).append(error)
