# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learning of what heads look like when they are turned, and how they move.

The static set is a regression from true angles to the mesh's angles, piece by piece (GLLiM, as
many pieces as help with a talker left out). The noise of the filter is what changes from image to
image; what stays, the bias of a person, is kept apart. The dynamic set is learned from sequences
of measured angles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.head_pose.mean_mesh import MeanMesh, build_mean_mesh, measure
from av_perception.head_pose.model import HeadPoseModel
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import Gllim, GllimConfig
from av_perception.numerics.plds import AffinePieces, PieceDynamics, Plds, observation_of_gllim
from av_perception.numerics.plds_learning import (
    PldsLearningConfig,
    fit_across_groups,
    fit_by_information,
    learn_dynamics,
)
from av_perception.numerics.softmax import normalize_log

STEP_S = 0.04  # between two views of a sequence
STATE = 6  # yaw, pitch, roll and their rates
CANDIDATES = (1, 2, 4, 8, 16)  # numbers of pieces
_INPUT_NOISE = np.radians(2.0)
_LEAST_STD = np.radians(0.3)  # of the noise from image to image
_OUTLIER_STD = np.radians(50.0)  # of what an outlier measures
_OUTLIER_REGION = np.radians(60.0)  # standard deviation of where outliers happen
_OUTLIER_WEIGHT = 0.02
_FIRST_STD = np.radians([30.0, 20.0, 15.0, 60.0, 40.0, 40.0])  # of the first state [rad, rad/s]
_ACCELERATION = 5.0  # [rad/s^2] standard deviation before anything is learned
# How a head moves does not depend on where it is turned: who is not seen for a moment must not be
# predicted to turn to the camera, only because most people do.
LEARNING = PldsLearningConfig(iterations=30, kept_columns=(0, 1, 2, STATE))
_USUAL = 0.9  # quantile of the residuals that are usual


@dataclass(frozen=True)
class TurnedViews:
    """Views of one talker: truth (N, 3) [rad] and points (N, P, 3) of the mesh [px]."""

    truth: np.ndarray
    points: np.ndarray


def measured_angles(mesh: MeanMesh, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles (N, 3) [rad] and residuals (N,) of points (N, P, 3)."""
    found = [measure(mesh, one) for one in points]
    return np.array([one.angles for one in found]), np.array([one.residual for one in found])


def fit_regions(mesh: MeanMesh, views: Sequence[TurnedViews]) -> Gllim:
    """Learn the regression from true angles to the mesh's, region by region.

    There are as many regions as serve talkers best who were left out: more of them follow the
    faces of those that were not, and undo what is no bias of the mesh.
    """
    talkers = [(one.truth, measured_angles(mesh, one.points)[0]) for one in views]
    config = GllimConfig(input_noise=_INPUT_NOISE)
    if len(talkers) == 1:  # nobody can be left out
        return fit_by_information(*talkers[0], CANDIDATES, config, _LEAST_STD)
    return fit_across_groups(talkers, CANDIDATES, config, _LEAST_STD)


def learn_head_pose_model(
    frontal: Sequence[np.ndarray],
    views: Sequence[TurnedViews],
    sequences: Sequence[TurnedViews],
) -> HeadPoseModel:
    """Learn everything.

    Parameters
    ----------
    frontal
        Of each talker the points (frames, P, 3) while looking into the camera.
    views
        Of each talker turned by any angles.
    sequences
        Of each talker turning as people do, one view every STEP_S.
    """
    mesh = build_mean_mesh(frontal)
    truth = np.concatenate([one.truth for one in views])
    measured = [measured_angles(mesh, one.points) for one in views]
    angles = np.concatenate([one[0] for one in measured])
    residuals = np.concatenate([one[1] for one in measured])
    gllim = fit_regions(mesh, views)
    moving = [measured_angles(mesh, one.points)[0] for one in sequences]
    noise = _noise(gllim, [one.truth for one in sequences], moving)
    system = _with_outliers(gllim, noise)
    learned = _with_any_start(learn_dynamics(system, moving, LEARNING).model)
    bias = _bias(gllim, truth, angles, len(views))
    usual = float(np.quantile(residuals, _USUAL))
    return HeadPoseModel(mesh, learned, bias, STEP_S, usual)


def _noise(gllim: Gllim, truth: list[np.ndarray], measured: list[np.ndarray]) -> np.ndarray:
    """(3,) variances of what changes from image to image, by differences of neighbors."""
    changes = []
    for true, seen in zip(truth, measured):
        weights = normalize_log(gllim.pieces.log_joint(true))[0]
        expected = np.einsum('kdi,ni->nkd', gllim.slope, true) + gllim.offset
        changes.append(np.diff(seen - np.einsum('nk,nkd->nd', weights, expected), axis=0))
    # The median is not misled by outliers; 1.4826 makes it a standard deviation.
    spread = 1.4826 * np.median(np.abs(np.concatenate(changes)), axis=0) / np.sqrt(2)
    return np.maximum(spread, _LEAST_STD) ** 2


def _bias(gllim: Gllim, truth: np.ndarray, measured: np.ndarray, talkers: int) -> np.ndarray:
    """(K + 1, 3, 3) covariance of the angles that each piece infers, against the truth.

    Larger for a person who is none of the `talkers`. The last, that of outliers, is zero.
    """
    weights = normalize_log(gllim.pieces.log_joint(truth))[0]
    inverse = np.linalg.inv(gllim.slope)
    inferred = np.einsum('kid,nkd->nki', inverse, measured[:, None] - gllim.offset)
    error = inferred - truth[:, None]
    mass = weights.sum(axis=0)[:, None, None]
    spread = np.einsum('nk,nki,nkj->kij', weights, error, error) / mass
    return np.concatenate([spread * (1 + 2 / talkers), np.zeros((1, 3, 3))])


def _with_outliers(gllim: Gllim, noise: np.ndarray) -> Plds:
    """Make the system, with the piece of outliers as the last one."""
    observation = observation_of_gllim(gllim, STATE)
    count = len(observation.offset)
    pieces = AffinePieces(
        np.concatenate([observation.slope, np.zeros((1, 3, STATE))]),
        np.concatenate([observation.offset, np.zeros((1, 3))]),
        np.concatenate([np.tile(noise, (count, 1)), np.full((1, 3), _OUTLIER_STD**2)]),
    )
    gate = gllim.pieces
    precision = np.concatenate([gate.precision, np.eye(3)[None] / _OUTLIER_REGION**2])
    log_weight = gate.log_weight + np.log1p(-_OUTLIER_WEIGHT)
    regions = Pieces(
        np.append(log_weight, np.log(_OUTLIER_WEIGHT)),
        np.concatenate([gate.center, np.zeros((1, 3))]),
        precision,
        np.linalg.slogdet(precision)[1],
    )
    return with_regions(pieces, regions, constant_velocity())


def with_regions(observation: AffinePieces, regions: Pieces, dynamics: PieceDynamics) -> Plds:
    """Make a system whose pieces are regions of the state: nothing else chooses between them."""
    even = np.full(len(regions.log_weight), -np.log(len(regions.log_weight)))
    return Plds(observation, dynamics, even, np.tile(even, (len(even), 1)), regions)


def constant_velocity() -> PieceDynamics:
    """Dynamics before anything is learned: rates change by white acceleration."""
    transition = np.eye(STATE)
    transition[:3, 3:] = STEP_S * np.eye(3)
    density = _ACCELERATION**2 * STEP_S
    block = density * np.array([[STEP_S**3 / 3, STEP_S**2 / 2], [STEP_S**2 / 2, STEP_S]])
    return PieceDynamics(
        np.zeros(STATE),
        np.diag(_FIRST_STD**2),
        transition[None],
        np.zeros((1, STATE)),
        np.kron(block, np.eye(3))[None],
    )


def _with_any_start(system: Plds) -> Plds:
    """Let the first state be anything: people do not begin as the sequences happen to."""
    first = constant_velocity()
    moved = replace(system.dynamics, mean=first.mean, covariance=first.covariance)
    return replace(system, dynamics=moved)


def kalman_model(model: HeadPoseModel, sequences: Sequence[np.ndarray]) -> HeadPoseModel:
    """Make a Kalman filter of the same noise: one piece, the mesh's angles taken as they are.

    Parameters
    ----------
    model
        Whose noise and mean mesh it takes.
    sequences
        (T, 3) measured angles, from which its dynamics are learned too.
    """
    noise = model.system.observation.variance[:1]
    slope = np.eye(3, STATE)[None]
    system = Plds(
        AffinePieces(slope, np.zeros((1, 3)), noise),
        constant_velocity(),
        np.zeros(1),
        np.zeros((1, 1)),
    )
    learned = learn_dynamics(system, sequences, LEARNING).model
    return replace(model, system=_with_any_start(learned))
