# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The variational loop of one frame and its lower bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import quadratic
from av_perception.tracking.association.audio_association import AudioAssociation
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.inference.dynamics_update import ProcessNoise
from av_perception.tracking.inference.state_update import update_states
from av_perception.tracking.state_space.interface import Prediction


@dataclass(frozen=True)
class InferenceConfig:
    """iterations: at most so many rounds of E-Z and E-S; tolerance: stop when no responsibility moves by more."""

    #: Variational iterations per frame.
    iterations: int = 4
    tolerance: float = 1e-3

    def __post_init__(self):
        if not 1 <= self.iterations <= 50:
            raise ValueError('iterations must lie in 1..50')
        if self.tolerance < 0:
            raise ValueError('tolerance must not be negative')


@dataclass
class FramePosterior:
    """q of one frame, refined in place by `VariationalFrame`.

    deviation: (N, D) mu - m; covariance: (N, D, D) Gam; noise_ratio: (N, D, D) whitened process noise; predicted_covariance: (N, D, D) S;
    alpha: (M, N + 1) and beta: (K, 1 + N R), column 0 is clutter, None without image / without voice.
    """

    deviation: np.ndarray
    covariance: np.ndarray
    noise_ratio: np.ndarray
    predicted_covariance: np.ndarray
    alpha: np.ndarray | None = None
    beta: np.ndarray | None = None


class VariationalFrame:
    """Alternates E-Z vision, E-Z audio and E-S of VAVIT on one frame, then takes one M step.

    The first E-Z uses the predictive marginals (innovation form), so that an uncertain but correct track is not starved by the trace
    penalty of the mean-field expectation; the following rounds use the expectations and never lower the bound. The M step comes once,
    after the E steps have settled (inside the loop it would fit the noise of a single frame to its own innovation); it acts on the next
    frame.
    """

    def __init__(
        self,
        prediction: Prediction,
        noise: ProcessNoise,
        ratio: np.ndarray,
        vision: VisualAssociation | None,
        audio: AudioAssociation | None,
    ):
        self._prediction, self._noise, self._vision, self._audio = prediction, noise, vision, audio
        predicted = prediction.propagated + noise.covariance(ratio)
        self._predicted_precision = np.linalg.inv(predicted)
        self.posterior = FramePosterior(
            np.zeros_like(prediction.mean), predicted, ratio, predicted
        )

    def run(self, config: InferenceConfig) -> FramePosterior:
        """Iterates to convergence, at most config.iterations rounds."""
        for round_index in range(config.iterations):
            before = self.posterior.alpha, self.posterior.beta
            self.assign_faces(first=round_index == 0)
            self.assign_subbands(first=round_index == 0)
            self.estimate_states()
            if (
                0 < round_index < config.iterations - 1
                and self._largest_change(before) < config.tolerance
            ):
                break
        self.estimate_noise()
        return self.posterior

    def assign_faces(self, first: bool):
        """E-Z of vision."""
        if self._vision is not None:
            q = self.posterior
            log = (
                self._vision.predicted_log_likelihood(q.covariance)
                if first
                else self._vision.expected_log_likelihood(q.deviation, q.covariance)
            )
            q.alpha = self._vision.responsibilities(log)

    def assign_subbands(self, first: bool):
        """E-Z of sound."""
        if self._audio is not None:
            q = self.posterior
            log = (
                self._audio.predicted_log_likelihood(q.covariance)
                if first
                else self._audio.expected_log_likelihood(
                    self._audio.heard_direction(q.deviation, q.covariance)
                )
            )
            q.beta = self._audio.responsibilities(log)

    def estimate_states(self):
        """E-S."""
        evidence = []
        if self._vision is not None:
            evidence.append(self._vision.information(self.posterior.alpha))
        if self._audio is not None:
            evidence.append(self._audio.information(self.posterior.beta))
        self.posterior.deviation, self.posterior.covariance = update_states(
            self._predicted_precision, *evidence
        )

    def estimate_noise(self):
        """M."""
        q = self.posterior
        q.noise_ratio = self._noise.update(
            q.noise_ratio, self._prediction.propagated, q.deviation, q.covariance
        )

    def _largest_change(self, before) -> float:
        pairs = zip(before, (self.posterior.alpha, self.posterior.beta))
        return max(
            (float(np.abs(new - old).max()) for old, new in pairs if new is not None and new.size),
            default=0.0,
        )

    def lower_bound(self) -> float:
        """F <= log p(observations | past): expected log joint plus entropy of q at the current posterior."""
        q, bound = self.posterior, 0.0
        if self._vision is not None:
            bound += _assignment_bound(
                q.alpha, self._vision.expected_log_likelihood(q.deviation, q.covariance)
            )
        if self._audio is not None:
            belief = self._audio.heard_direction(q.deviation, q.covariance)
            bound += _assignment_bound(q.beta, self._audio.expected_log_likelihood(belief))
            bound += self._audio.prior_bound() - self._audio.direction_error_divergence(
                q.deviation, q.covariance
            )
        return bound - self._state_divergence()

    def _state_divergence(self) -> float:
        """Sum over people of KL(q(s_n) || N(m_n, S_n))."""
        q = self.posterior
        precision = self._predicted_precision
        log_dets = (
            np.linalg.slogdet(q.predicted_covariance)[1] - np.linalg.slogdet(q.covariance)[1]
        )
        traces = np.trace(precision @ q.covariance, axis1=1, axis2=2)
        return 0.5 * float(
            (traces + quadratic(q.deviation, precision) - q.deviation.shape[1] + log_dets).sum()
        )


def _assignment_bound(responsibilities: np.ndarray, log_likelihood: np.ndarray) -> float:
    """`sum z (log likelihood - log z)` with 0 log 0 = 0."""
    used = responsibilities > 0
    return float(
        (responsibilities[used] * (log_likelihood[used] - np.log(responsibilities[used]))).sum()
    )
