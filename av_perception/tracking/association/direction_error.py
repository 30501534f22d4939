# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The direction error of a track: one more latent variable, which all sub-bands share.

An array hears `x_n = u(s_n) + b_n`, `b_n ~ N(0, error^2 I)`: reverberation and a wrong acoustic
map shift all sub-bands of a talker alike. The error bounds what one frame of sound can say about
the position. Sizes: N tracks, D state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import propagate_covariance
from av_perception.tracking.state_space.interface import LinearMap

_EYE = np.eye(3)


@dataclass(frozen=True)
class AudioInformation:
    """What the sub-bands of one frame say, as one E-S step uses it and the next E-Z step needs it.

    precision: (N, D, D) and vector: (N, D) about `s - m`, the direction error integrated out;
    direction_precision: (N, 3, 3) `Q` and direction_vector: (N, 3) `h` about `x - u(m)`;
    shrinkage: (N, 3, 3) `A = (I + error^2 Q)^-1`.
    """

    precision: np.ndarray
    vector: np.ndarray
    direction_precision: np.ndarray
    direction_vector: np.ndarray
    shrinkage: np.ndarray

    @classmethod
    def nothing(cls, num_tracks: int, state_size: int) -> AudioInformation:
        """Of a frame in which nothing was heard yet: the error is as uncertain as before."""
        shrinkage = np.empty((num_tracks, 3, 3))
        shrinkage[:] = _EYE
        return cls(
            np.zeros((num_tracks, state_size, state_size)),
            np.zeros((num_tracks, state_size)),
            np.zeros((num_tracks, 3, 3)),
            np.zeros((num_tracks, 3)),
            shrinkage,
        )


@dataclass(frozen=True)
class DirectionBelief:
    """Posterior of the heard direction `x_n`. mean: (N, 3); covariance: (N, 3, 3)."""

    mean: np.ndarray
    covariance: np.ndarray


class DirectionError:
    """The error `b_n` of every track: q(s_n, b_n) is a joint Gaussian.

    Parameters
    ----------
    direction_map
        `u` about the predicted means, `u(s) ~ u + J (s - m)`, in the array frame.
    variance
        `error^2` [rad^2]; 0 is VAVIT as published.
    """

    def __init__(self, direction_map: LinearMap, variance: float):
        self._map = direction_map
        self.variance = variance

    def marginalize(self, precision: np.ndarray, vector: np.ndarray) -> AudioInformation:
        """Integrate the error out of evidence about the heard direction (T9).

        Parameters
        ----------
        precision, vector
            (N, 3, 3) `Q` and (N, 3) `h` about `x - u(m)`.

        Returns
        -------
        AudioInformation
            With `A = (I + error^2 Q)^-1` the error leaves `A Q` and `A h`; by `J` they are about
            the state: `J' A Q J` and `J' A h`.
        """
        shrinkage = np.linalg.inv(_EYE + self.variance * precision)
        both = np.concatenate([precision, vector[..., None]], axis=2)
        projected = self._map.matrix.swapaxes(1, 2) @ (shrinkage @ both)
        of_state = projected[..., :3] @ self._map.matrix
        return AudioInformation(of_state, projected[..., 3], precision, vector, shrinkage)

    def belief(
        self, mean_shift: np.ndarray, covariance: np.ndarray, information: AudioInformation
    ) -> DirectionBelief:
        """Posterior of `x_n` after an E-S step (T9).

        Given s, the error b has the covariance `error^2 A` and the mean
        `error^2 A (h - Q J (s - m))`.

        Parameters
        ----------
        mean_shift, covariance
            (N, D) `mu - m` and (N, D, D) `Gam` of the states.
        information
            What the E-S step used.

        Returns
        -------
        DirectionBelief
            In the array frame.
        """
        shrinkage = information.shrinkage
        shift = (
            self._map.matrix @ mean_shift[..., None]
            + self.variance * information.direction_vector[..., None]
        )
        spread = propagate_covariance(shrinkage @ self._map.matrix, covariance)
        spread = spread + self.variance * shrinkage
        return DirectionBelief(self._map.value + (shrinkage @ shift)[..., 0], spread)

    def divergence(
        self, mean_shift: np.ndarray, covariance: np.ndarray, information: AudioInformation
    ) -> float:
        """`sum_n E_s KL(q(b_n | s_n) || p(b_n))`, its part of the lower bound (T12).

        Parameters
        ----------
        mean_shift, covariance, information
            As of `belief`.

        Returns
        -------
        float
            [nat] 0 without an error.
        """
        shrinkage = information.shrinkage
        precision, matrix = information.direction_precision, self._map.matrix
        left = information.direction_vector[..., None]
        residual = shrinkage @ (left - precision @ matrix @ mean_shift[..., None])
        spread = propagate_covariance(shrinkage @ precision @ matrix, covariance)
        quadratic = (residual**2).sum() + np.trace(spread, axis1=1, axis2=2).sum()
        trace = np.trace(shrinkage, axis1=1, axis2=2).sum()
        log_det = np.linalg.slogdet(shrinkage)[1].sum()
        return 0.5 * float(trace + self.variance * quadratic - 3 * len(shrinkage) - log_det)
