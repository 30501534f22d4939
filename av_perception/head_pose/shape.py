# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses from the shape of the mesh itself: many features, few angles, no mean mesh.

The other way to use the dynamical system: the observation is the shape, a curved function of the
angles, and its pieces are learned by GLLiM from views whose angles are known. What all features of
a person have in common, the person's own face, makes them far less than independent: the variances
are scaled so that the inferred angles are as sure as they are right on the talkers that were
learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from av_perception.head_pose.face_mesh import facing_points
from av_perception.head_pose.learning import STATE, TurnedViews, with_regions
from av_perception.numerics.gllim import Gllim, GllimConfig
from av_perception.numerics.kalman_steps import update_information
from av_perception.numerics.plds import Evidence, Plds, evidence_of, observation_of_gllim
from av_perception.numerics.plds_learning import fit_by_information
from av_perception.numerics.softmax import normalize_log

# Corners of eyes, brows, lids, nose, mouth, chin, cheeks and temples.
POINTS = (
    *(1, 2, 4, 6, 10, 13, 14, 17, 152, 168, 197, 199),
    *(33, 133, 61, 70, 105, 50, 98, 127, 132, 172, 205, 234),
    *(263, 362, 291, 300, 334, 280, 327, 356, 361, 397, 425, 454),
)
CANDIDATES = (4, 8, 16)


def shape_features(points: np.ndarray) -> np.ndarray:
    """Shapes (N, 3 F) of meshes (N, P, 3): F points without place and size, turned as they are."""
    chosen = facing_points(points)[:, list(POINTS)]
    centered = chosen - chosen.mean(axis=1, keepdims=True)
    radius = np.sqrt((centered**2).sum(axis=2).mean(axis=1))
    return (centered / radius[:, None, None]).reshape(len(points), 3 * len(POINTS))


def learn_shape_system(views: Sequence[TurnedViews], moving: Plds) -> tuple[Plds, float]:
    """Learn a system over shapes.

    Parameters
    ----------
    views
        Of each talker turned by any angles.
    moving
        A system over angles, whose dynamics it takes.

    Returns
    -------
    system : Plds
        State as that of `moving`.
    noise_scale : float
        What its variances are to be multiplied with.
    """
    truth = np.concatenate([one.truth for one in views])
    shapes = np.concatenate([shape_features(one.points) for one in views])
    config = GllimConfig(input_noise=np.radians(3.0))
    gllim = fit_by_information(truth, shapes, CANDIDATES, config, 0.01)
    observation = observation_of_gllim(gllim, STATE)
    system = with_regions(observation, gllim.pieces, moving.dynamics)
    inferred, spread = infer_angles(gllim, shapes)
    error = inferred - truth
    surprise = np.einsum('ni,nij,nj->n', error, np.linalg.inv(spread), error) / 3
    return system, float(np.median(surprise) / 0.789)  # of chi square with 3 degrees, over 3


def infer_angles(
    gllim: Gllim, values: np.ndarray, noise_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Invert a regression without memory: E[x | y] and Cov[x | y] of its mixture.

    Parameters
    ----------
    gllim
        From angles to observations.
    values
        (N, D) observations.
    noise_scale
        See `evidence_of`.

    Returns
    -------
    tuple of np.ndarray
        (N, L) and (N, L, L).
    """
    observation = observation_of_gllim(gllim, gllim.slope.shape[2])
    return infer_states(evidence_of(observation, values, noise_scale), gllim)


def infer_states(evidence: Evidence, regions: Gllim) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the inputs of a regression under evidence of them, see `infer_angles`."""
    pieces = regions.pieces
    prior = np.linalg.inv(pieces.precision)
    means, covariances, log_evidence = update_information(
        pieces.center, prior, evidence.precision, evidence.vector
    )
    log_joint = pieces.log_weight + evidence.constant + log_evidence
    weights = normalize_log(log_joint)[0]
    mean = np.einsum('nk,nki->ni', weights, means)
    apart = means - mean[:, None]
    spread = covariances + apart[..., :, None] * apart[..., None, :]
    return mean, np.einsum('nk,nkij->nij', weights, spread)


def scaled(system: Plds, noise_scale: float) -> Plds:
    """Multiply the variances of the observations."""
    observation = system.observation
    grown = replace(observation, variance=observation.variance * noise_scale)
    return replace(system, observation=grown)
