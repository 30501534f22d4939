# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the microphones are, from sounds at known places: robust Levenberg-Marquardt.

    min_m  sum_ip rho( (|s_i - m_a| - |s_i - m_b| - c t_ip) / (c sigma_ip) )
           + 1/2 sum_p (|m_a - m_b| - d_p)^2 / sigma_d^2
           + 1/2 sum_j |m_j - m_j0|^2 / sigma_m^2

over pairs p = (a, b), with Huber's rho. Time differences hardly tell how far the whole array is
from the sounds (a shift along the hyperboloids changes none of them), so the profile's positions
and distances stay in the problem as priors, and the result says how much of it is theirs. Source:
Alameda-Pineda et al., ICMI 2011 (see `av_events`), generalized from a pair to an array.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from av_perception.two_microphones.microphone_pair import speed_of_sound

_LEAST_SD = 1e-6  # [s]: no measured time difference is better
_SMALL_STEP = 1e-8  # [m]
_SD_PER_MAD = 1.4826  # of a normal distribution
_OFF_POSITIONS = 2  # standard deviations beyond which the profile is contradicted
_OFF_DISTANCES = 4


@dataclass(frozen=True)
class CalibrationConfig:
    """What is known before, and when a result is good."""

    #: [m] how well the distances between the microphones are known.
    distance_sd: float = 0.003
    #: [m] how well their positions are known.
    position_sd: float = 0.05
    #: Normalized residual from which a measurement counts less.
    huber: float = 1.345
    #: [m/s].
    sound_speed: float = field(default_factory=speed_of_sound)
    #: Largest number of steps.
    iterations: int = 100
    #: [s] residual up to which a calibration is good.
    accept_rms: float = 25e-6

    def __post_init__(self):
        positive = (
            self.distance_sd,
            self.position_sd,
            self.huber,
            self.sound_speed,
            self.accept_rms,
        )
        if not min(positive) > 0 or self.iterations < 1:
            raise ValueError(
                'distance_sd, position_sd, huber, sound_speed and accept_rms must be positive, '
                'iterations at least 1'
            )


@dataclass(frozen=True)
class Measurements:
    """Sounds at known places."""

    #: (I, 3) [m] in the frame of the microphones.
    sources: np.ndarray
    #: (P, 2) channels.
    pairs: np.ndarray
    #: (I, P) [s] time difference of each pair, NaN where there is none.
    itds: np.ndarray
    #: (I, P) [s] standard deviations.
    sds: np.ndarray

    def usable(self) -> Measurements:
        """Leave out the places and the differences that are not finite."""
        good = np.isfinite(self.sources).all(1)
        itds, sds = self.itds[good], self.sds[good]
        measured = np.isfinite(itds) & np.isfinite(sds) & (sds > 0)
        itds = np.where(measured, itds, np.nan)
        sds = np.where(measured, np.maximum(sds, _LEAST_SD), np.inf)
        return Measurements(self.sources[good], self.pairs, itds, sds)


@dataclass(frozen=True)
class Calibration:
    """Where the microphones are, how sure that is, and whether to believe it."""

    #: (M, 3) [m].
    positions: np.ndarray
    #: (3M, 3M) [m^2], by microphone.
    covariance: np.ndarray
    #: [s].
    residual_rms: float
    #: Of the measurements.
    inlier_share: float
    #: Whether the residual is small enough.
    fits: bool
    #: Whether the profile is not contradicted, its positions by at most two and its distances by
    #: four of their standard deviations: places in a wrong frame and channels out of order fit as
    #: well as the right ones, with the array elsewhere.
    plausible: bool
    #: Whether the steps ended before they ran out.
    converged: bool
    #: (3M,) rising: for each independent direction of the 3M coordinates the share of the
    #: information that is the measurements' and not the priors'; 0: the profile's alone.
    data_share: np.ndarray
    #: (M, 3) how the microphones move in the first of these directions.
    weakest: np.ndarray

    @property
    def accepted(self) -> bool:
        """Whether to believe it."""
        return self.fits and self.plausible

    @property
    def position_sd(self) -> np.ndarray:
        """Standard deviations of the coordinates, (M, 3) [m]."""
        return np.sqrt(np.diag(self.covariance)).reshape(-1, 3)

    def itd_sd(
        self, points: np.ndarray, pair: tuple[int, int], sound_speed: float | None = None
    ) -> np.ndarray:
        """Predict how uncertain the time differences of a calibrated pair are.

        This is what localization feels.

        Parameters
        ----------
        points
            (N, 3) [m] where it sounds.
        pair
            Two channels.
        sound_speed
            [m/s]; None takes that of a usual room.

        Returns
        -------
        np.ndarray
            (N,) standard deviations [s].
        """
        gradient = np.zeros((len(points), *self.positions.shape))
        for channel, sign in zip(pair, (-1.0, 1.0)):
            gradient[:, channel] = sign * _unit(points - self.positions[channel])
        gradient = gradient.reshape(len(points), -1) / (sound_speed or speed_of_sound())
        return np.sqrt(np.einsum('ni,ij,nj->n', gradient, self.covariance, gradient))


def calibrate(
    measurements: Measurements, start: np.ndarray, config: CalibrationConfig | None = None
) -> Calibration:
    """Find the positions of the microphones.

    Parameters
    ----------
    measurements
        Sounds at known places.
    start
        (M, 3) [m] positions of the profile, which are also the prior; ValueError for others.
    config
        None takes the defaults.
    """
    config = config or CalibrationConfig()
    start = np.asarray(start, float)
    is_list = start.ndim == 2 and start.shape[1] == 3 and len(start) >= 2
    if not is_list or not np.isfinite(start).all():
        raise ValueError(f'start must hold at least two finite positions, not {start.shape}')
    problem = _Problem(measurements.usable(), start, config)
    positions, converged = _levenberg_marquardt(problem, start, config.iterations)
    return _judge(problem, positions, converged)


class _Problem:
    """Residuals and Jacobian in units of their standard deviations.

    In the order: measurements, distances, positions.
    """

    def __init__(self, measurements: Measurements, start: np.ndarray, config: CalibrationConfig):
        self.config = config
        self.start = start
        self._measurements = measurements
        self._first, self._second = np.triu_indices(len(start), 1)
        self._distances = np.linalg.norm(start[self._first] - start[self._second], axis=1)
        # All pairs of M microphones measure each of the M - 1 independent differences M / 2 times.
        self._scale = 1.0
        if measurements.pairs.size:
            self._scale = np.sqrt(2.0 / len(np.unique(measurements.pairs)))

    def measured(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (I P,) and Jacobian (I P, 3M); zero rows where nothing was measured."""
        m = self._measurements
        speed = self.config.sound_speed
        rays = m.sources[:, None] - positions
        ranges = np.linalg.norm(rays, axis=2)
        directions = _unit(rays)
        first, second = m.pairs.T
        weight = self._scale / (speed * m.sds)
        path = ranges[:, first] - ranges[:, second]
        residual = weight * (path - speed * np.nan_to_num(m.itds))
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
        of_place = np.eye(positions.size) / self.config.position_sd
        jacobian = np.concatenate([along.reshape(len(distance), -1), of_place])
        return np.concatenate([distance, place]), jacobian

    def is_plausible(self, positions: np.ndarray) -> bool:
        """Whether positions and distances are those of the profile within reason."""
        distance = self.priors(positions)[0][: len(self._distances)]
        moved = np.linalg.norm(positions - self.start, axis=1) / self.config.position_sd
        near = moved.max() <= _OFF_POSITIONS
        return bool(near and np.abs(distance).max() <= _OFF_DISTANCES)

    def cost(self, positions: np.ndarray) -> float:
        """Half the sum of squares, linear beyond the threshold for measurements."""
        size = np.abs(self.measured(positions)[0])
        limit = self.config.huber
        return float(
            np.where(size <= limit, 0.5 * size**2, limit * (size - 0.5 * limit)).sum()
            + 0.5 * (self.priors(positions)[0] ** 2).sum()
        )

    def normal_equations(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Information (3M, 3M) of measurements and of priors, and gradient (3M,) of the cost."""
        residual, jacobian = self.measured(positions)
        weight = np.minimum(1.0, self.config.huber / np.maximum(np.abs(residual), 1e-12))
        prior, prior_jacobian = self.priors(positions)
        return (
            jacobian.T @ (weight[:, None] * jacobian),
            prior_jacobian.T @ prior_jacobian,
            jacobian.T @ (weight * residual) + prior_jacobian.T @ prior,
        )

    def residuals(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of what was measured: [s], and in units of their standard deviation."""
        measured = np.isfinite(self._measurements.itds).ravel()
        normalized = self.measured(positions)[0][measured] / self._scale
        return normalized * self._measurements.sds.ravel()[measured], normalized


def _levenberg_marquardt(
    problem: _Problem, start: np.ndarray, iterations: int
) -> tuple[np.ndarray, bool]:
    positions = start
    cost = problem.cost(start)
    damping = 1e-3
    for _ in range(iterations):
        data, prior, gradient = problem.normal_equations(positions)
        information = data + prior
        step = -np.linalg.solve(information + damping * np.diag(np.diag(information)), gradient)
        moved = positions + step.reshape(positions.shape)
        new_cost = problem.cost(moved)
        if new_cost <= cost:
            positions = moved
            cost = new_cost
            damping = max(damping / 10, 1e-9)
            if np.abs(step).max() < _SMALL_STEP:
                return positions, True
        else:
            damping *= 10
            if damping > 1e12:  # no step is downhill: this is the minimum to rounding
                return positions, True
    return positions, False


def _inliers(normalized: np.ndarray) -> np.ndarray:
    """(n,) bool: which residuals lie within three standard deviations, robustly estimated."""
    if not normalized.size:
        return np.zeros(0, bool)
    size = np.abs(normalized)
    return size <= 3 * max(1.0, _SD_PER_MAD * float(np.median(size)))


def _judge(problem: _Problem, positions: np.ndarray, converged: bool) -> Calibration:
    """Tell uncertainty and observability at the solution.

    Noise larger than claimed widens the covariance.
    """
    data, prior, _ = problem.normal_equations(positions)
    residual, normalized = problem.residuals(positions)
    inlier = _inliers(normalized)
    rms = 0.0
    if inlier.any():
        rms = float(np.sqrt(np.mean(residual[inlier] ** 2)))
        data = data / max(1.0, float(np.mean(normalized[inlier] ** 2)))
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
    """Scale vectors to length 1; zero for zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
