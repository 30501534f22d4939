# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the microphones are, from sounds at known places: robust Levenberg-Marquardt, and what the measurements cannot tell.

    min_m  sum_ip rho( (|s_i - m_a| - |s_i - m_b| - c t_ip) / (c sigma_ip) )
           + 1/2 sum_p (|m_a - m_b| - d_p)^2 / sigma_d^2 + 1/2 sum_j |m_j - m_j0|^2 / sigma_m^2

over pairs p = (a, b), with Huber's rho. Time differences hardly tell how far the whole array is from the sounds (a shift along the
hyperboloids changes none of them), so the profile's positions and distances stay in the problem as priors, and the result says how much of it is
theirs. Source: Alameda-Pineda et al., ICMI 2011 (see `av_events`), generalised from a pair to an array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.two_microphones.microphone_pair import speed_of_sound

_LEAST_SD = 1e-6  # [s]: no measured time difference is better
_SMALL_STEP = 1e-8  # [m]


@dataclass(frozen=True)
class CalibrationConfig:
    """distance_sd [m]: how well the distances between the microphones are known; position_sd [m]: how well their positions are.

    huber: normalised residual from which a measurement counts less; accept_rms [s]: residual up to which a calibration is good.
    """

    distance_sd: float = 0.003
    position_sd: float = 0.05
    huber: float = 1.345
    sound_speed: float = speed_of_sound()
    iterations: int = 100
    accept_rms: float = 25e-6

    def __post_init__(self):
        if (
            not min(
                self.distance_sd, self.position_sd, self.huber, self.sound_speed, self.accept_rms
            )
            > 0
            or self.iterations < 1
        ):
            raise ValueError(
                'distance_sd, position_sd, huber, sound_speed and accept_rms must be positive, iterations at least 1'
            )


@dataclass(frozen=True)
class Measurements:
    """Sounds at known places. sources: (I, 3) [m] in the frame of the microphones; pairs: (P, 2) channels; itds: (I, P) [s] of each pair, NaN
    where there is none; sds: (I, P) [s] standard deviations.
    """

    sources: np.ndarray
    pairs: np.ndarray
    itds: np.ndarray
    sds: np.ndarray

    def usable(self) -> Measurements:
        """Without the places and the differences that are not finite."""
        good = np.isfinite(self.sources).all(1)
        itds, sds = self.itds[good], self.sds[good]
        measured = np.isfinite(itds) & np.isfinite(sds) & (sds > 0)
        return Measurements(
            self.sources[good],
            self.pairs,
            np.where(measured, itds, np.nan),
            np.where(measured, np.maximum(sds, _LEAST_SD), np.inf),
        )


@dataclass(frozen=True)
class Calibration:
    """positions: (M, 3) [m]; covariance: (3M, 3M) [m^2], by microphone; residual_rms [s]; inlier_share of the measurements; fits: whether the
    residual is small enough; plausible: whether the profile is not contradicted, its positions by at most two and its distances by four of
    their standard deviations (places in a wrong frame and channels out of order fit as well as the right ones, with the array elsewhere);
    converged.

    data_share: (3M,) rising, for each independent direction of the 3M coordinates the share of the information that is the measurements' and
    not the priors': 0 is known from the profile alone. weakest: (M, 3) how the microphones move in the first of these directions.
    """

    positions: np.ndarray
    covariance: np.ndarray
    residual_rms: float
    inlier_share: float
    fits: bool
    plausible: bool
    converged: bool
    data_share: np.ndarray
    weakest: np.ndarray

    @property
    def accepted(self) -> bool:
        """Whether to believe it."""
        return self.fits and self.plausible

    @property
    def position_sd(self) -> np.ndarray:
        """(M, 3) [m]."""
        return np.sqrt(np.diag(self.covariance)).reshape(-1, 3)

    def itd_sd(
        self, points: np.ndarray, pair: tuple[int, int], sound_speed: float = speed_of_sound()
    ) -> np.ndarray:
        """(N,) standard deviation [s] of the differences that the calibrated pair predicts for (N, 3) points: what localisation feels."""
        gradient = np.zeros((len(points), *self.positions.shape))
        for channel, sign in zip(pair, (-1.0, 1.0)):
            gradient[:, channel] = sign * _unit(points - self.positions[channel])
        gradient = gradient.reshape(len(points), -1) / sound_speed
        return np.sqrt(np.einsum('ni,ij,nj->n', gradient, self.covariance, gradient))


def calibrate(
    measurements: Measurements, start: np.ndarray, config: CalibrationConfig = CalibrationConfig()
) -> Calibration:
    """start: (M, 3) [m] positions of the profile, which are also the prior. Raises ValueError for shapes that do not fit."""
    start = np.asarray(start, float)
    if start.ndim != 2 or start.shape[1] != 3 or len(start) < 2 or not np.isfinite(start).all():
        raise ValueError(f'start must hold at least two finite positions, not {start.shape}')
    problem = _Problem(measurements.usable(), start, config)
    positions, converged = _levenberg_marquardt(problem, start, config.iterations)
    return _judge(problem, positions, converged)


class _Problem:
    """Residuals and Jacobian in units of their standard deviations: measurements, distances, positions."""

    def __init__(self, measurements: Measurements, start: np.ndarray, config: CalibrationConfig):
        self.config, self.start, self._measurements = config, start, measurements
        self._first, self._second = np.triu_indices(len(start), 1)
        self._distances = np.linalg.norm(start[self._first] - start[self._second], axis=1)
        # All pairs of M microphones measure each of the M - 1 independent differences M / 2 times.
        self._scale = (
            np.sqrt(2.0 / len(np.unique(measurements.pairs))) if measurements.pairs.size else 1.0
        )

    def measured(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(I P,) residuals and (I P, 3M) Jacobian; zero rows where nothing was measured."""
        m, config = self._measurements, self.config
        rays = m.sources[:, None] - positions
        ranges, directions = np.linalg.norm(rays, axis=2), _unit(rays)
        first, second = m.pairs.T
        weight = self._scale / (config.sound_speed * m.sds)
        residual = weight * (
            ranges[:, first] - ranges[:, second] - config.sound_speed * np.nan_to_num(m.itds)
        )
        jacobian = np.zeros((*residual.shape, *positions.shape))
        pair = np.arange(len(m.pairs))
        jacobian[:, pair, first] = -weight[..., None] * directions[:, first]
        jacobian[:, pair, second] = weight[..., None] * directions[:, second]
        return residual.ravel(), jacobian.reshape(residual.size, positions.size)

    def priors(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and Jacobian of the known distances and positions."""
        offset = positions[self._first] - positions[self._second]
        distance = (np.linalg.norm(offset, axis=1) - self._distances) / self.config.distance_sd
        rows = np.arange(len(distance))
        along = np.zeros((len(distance), *positions.shape))
        along[rows, self._first] = _unit(offset) / self.config.distance_sd
        along[rows, self._second] = -along[rows, self._first]
        place = (positions - self.start).ravel() / self.config.position_sd
        return np.concatenate([distance, place]), np.concatenate(
            [along.reshape(len(distance), -1), np.eye(positions.size) / self.config.position_sd]
        )

    def is_plausible(self, positions: np.ndarray) -> bool:
        """Whether positions and distances are those of the profile within reason."""
        distance = self.priors(positions)[0][: len(self._distances)]
        moved = np.linalg.norm(positions - self.start, axis=1) / self.config.position_sd
        return bool(moved.max() <= 2 and np.abs(distance).max() <= 4)

    def cost(self, positions: np.ndarray) -> float:
        """What is minimised: half the sum of squares, linear beyond the threshold for measurements."""
        size = np.abs(self.measured(positions)[0])
        limit = self.config.huber
        return float(
            np.where(size <= limit, 0.5 * size**2, limit * (size - 0.5 * limit)).sum()
            + 0.5 * (self.priors(positions)[0] ** 2).sum()
        )

    def normal_equations(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Information (3M, 3M) of the measurements and of the priors, and the gradient (3M,) of the cost."""
        residual, jacobian = self.measured(positions)
        weight = np.minimum(1.0, self.config.huber / np.maximum(np.abs(residual), 1e-12))
        prior, prior_jacobian = self.priors(positions)
        return (
            jacobian.T @ (weight[:, None] * jacobian),
            prior_jacobian.T @ prior_jacobian,
            jacobian.T @ (weight * residual) + prior_jacobian.T @ prior,
        )

    def residuals(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of what was measured: residuals [s], and the same in units of their standard deviation."""
        measured = np.isfinite(self._measurements.itds).ravel()
        normalized = self.measured(positions)[0][measured] / self._scale
        return normalized * self._measurements.sds.ravel()[measured], normalized


def _levenberg_marquardt(
    problem: _Problem, start: np.ndarray, iterations: int
) -> tuple[np.ndarray, bool]:
    positions, cost, damping = start, problem.cost(start), 1e-3
    for _ in range(iterations):
        data, prior, gradient = problem.normal_equations(positions)
        information = data + prior
        step = -np.linalg.solve(information + damping * np.diag(np.diag(information)), gradient)
        moved = positions + step.reshape(positions.shape)
        new_cost = problem.cost(moved)
        if new_cost <= cost:
            positions, cost, damping = moved, new_cost, max(damping / 10, 1e-9)
            if np.abs(step).max() < _SMALL_STEP:
                return positions, True
        else:
            damping *= 10
            if damping > 1e12:  # no step is downhill: this is the minimum to rounding
                return positions, True
    return positions, False


def _judge(problem: _Problem, positions: np.ndarray, converged: bool) -> Calibration:
    """Uncertainty and observability at the solution; noise larger than claimed widens the covariance."""
    data, prior, _ = problem.normal_equations(positions)
    residual, normalized = problem.residuals(positions)
    inlier = (
        np.abs(normalized) <= 3 * max(1.0, 1.4826 * float(np.median(np.abs(normalized))))
        if normalized.size
        else np.zeros(0, bool)
    )
    rms = float(np.sqrt(np.mean(residual[inlier] ** 2))) if inlier.any() else 0.0
    data = data / max(1.0, float(np.mean(normalized[inlier] ** 2)) if inlier.any() else 1.0)
    values, vectors = np.linalg.eigh(data + prior)
    root = vectors / np.sqrt(values) @ vectors.T
    shares, directions = np.linalg.eigh(root @ data @ root)
    weakest = (root @ directions[:, 0]).reshape(positions.shape)
    return Calibration(
        positions,
        np.linalg.inv(data + prior),
        rms,
        float(inlier.mean()) if inlier.size else 0.0,
        bool(inlier.any() and rms <= problem.config.accept_rms),
        problem.is_plausible(positions),
        converged,
        np.clip(shares, 0.0, 1.0),
        weakest / np.linalg.norm(weakest),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; zero for zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
