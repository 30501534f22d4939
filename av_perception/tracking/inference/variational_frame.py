# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The variational loop of one frame and its lower bound (T5 to T13).

Sizes: N tracks, M faces, K sub-bands, P pieces per track, D state. The equations are listed in
docs/tracker_equations.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import quadratic
from av_perception.tracking.association.audio_association import AudioAssociation
from av_perception.tracking.association.direction_error import AudioInformation
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.inference.dynamics_update import ProcessNoise
from av_perception.tracking.inference.state_update import Information, update_states
from av_perception.tracking.state_space.interface import Prediction


@dataclass(frozen=True)
class InferenceConfig:
    """When the rounds of one frame end."""

    #: Variational iterations per frame.
    iterations: int = 4
    #: a round in which no responsibility moves by more is the last
    tolerance: float = 1e-3

    def __post_init__(self):
        if not 1 <= self.iterations <= 50:
            raise ValueError('iterations must lie in 1..50')
        if self.tolerance < 0:
            raise ValueError('tolerance must not be negative')


@dataclass
class FramePosterior:
    """q of one frame, refined in place by `VariationalFrame`.

    mean_shift: (N, D) `mu - m`; covariance: (N, D, D) `Gam`; noise_ratio: (N, D, D) whitened
    process noise; predicted_mean: (N, D) `m`; predicted_covariance: (N, D, D) `S`. alpha:
    (M, N + 1) and beta: (K, 1 + N P), column 0 is clutter; empty (no rows) without image and
    without voice.

    log_prior: (1 + N,) `log rho` of the sub-bands, empty without voice; audio_information: what
    the last E-S step used and the next E-Z step of sound needs; elsewhere: (N,) responsibility of
    each track for free faces whose depth is not its own.
    """

    mean_shift: np.ndarray
    covariance: np.ndarray
    noise_ratio: np.ndarray
    predicted_mean: np.ndarray
    predicted_covariance: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    log_prior: np.ndarray
    audio_information: AudioInformation
    elsewhere: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(N, D) `mu`."""
        return self.predicted_mean + self.mean_shift

    @property
    def visual_mass(self) -> np.ndarray:
        """(N,) `nu_n = sum_m alpha_mn`, how much of the faces belongs to each track."""
        return self.alpha[:, 1:].sum(0)


class VariationalFrame:
    """Alternates E-Z vision, E-Z audio and E-S of VAVIT on one frame, then takes one M step.

    The first E-Z uses the predictive marginals (innovation form), so that an uncertain but correct
    track is not starved by the trace penalty of the mean-field expectation; the following rounds
    use the expectations and never lower the bound. The M step comes once, after the E steps have
    settled (inside the loop it would fit the noise of a single frame to its own innovation); it
    acts on the next frame.

    Parameters
    ----------
    prediction
        Of the tracks' states.
    noise
        Process noise of this step.
    ratio
        (N, D, D) whitened process noise of the tracks.
    vision, audio
        The evidence of the frame, None without it.
    log_prior
        (1 + N,) `log rho` to start from, None for that of nothing assigned yet.
    heard
        Directions in which tracks were heard, as information about their states.
    """

    def __init__(
        self,
        prediction: Prediction,
        noise: ProcessNoise,
        ratio: np.ndarray,
        vision: VisualAssociation | None,
        audio: AudioAssociation | None,
        log_prior: np.ndarray | None = None,
        heard: Information | None = None,
    ):
        self._prediction, self._noise = prediction, noise
        self.vision, self.audio = vision, audio
        self._heard = heard
        # T1: predicted covariance S = D Gam_past D' + Lam.
        predicted = prediction.propagated + noise.covariance(ratio)
        self._predicted_precision = np.linalg.inv(predicted)
        num_tracks, state_size = prediction.mean.shape
        nothing = np.zeros((0, 1 + num_tracks))
        if log_prior is None:
            log_prior = np.zeros(0) if audio is None else audio.initial_log_prior
        self.posterior = FramePosterior(
            mean_shift=np.zeros_like(prediction.mean),
            covariance=predicted,
            noise_ratio=ratio,
            predicted_mean=prediction.mean,
            predicted_covariance=predicted,
            alpha=nothing,
            beta=nothing,
            log_prior=log_prior,
            audio_information=AudioInformation.nothing(num_tracks, state_size),
            elsewhere=np.zeros(num_tracks),
        )

    def run(self, config: InferenceConfig) -> FramePosterior:
        """Iterate until the responsibilities settle, at most `config.iterations` rounds."""
        last = config.iterations - 1
        for round_index in range(config.iterations):
            alpha, beta = self.posterior.alpha, self.posterior.beta
            self.assign_faces(is_first=round_index == 0)
            self.assign_subbands(is_first=round_index == 0)
            self.estimate_states()
            if 0 < round_index < last:
                change = max(
                    _largest_change(alpha, self.posterior.alpha),
                    _largest_change(beta, self.posterior.beta),
                )
                if change < config.tolerance:
                    break
        self.estimate_noise()
        if self.vision is not None and self.vision.other_depth is not None:
            self.posterior.elsewhere = self.vision.other_depth.free_mass(
                self.posterior.alpha[:, 1:]
            )
        return self.posterior

    def assign_faces(self, is_first: bool) -> None:
        """E-Z step of vision: T7 in the first round, T5 afterwards."""
        if self.vision is None:
            return
        q = self.posterior
        if is_first:
            log_likelihood = self.vision.predicted_log_likelihood(q.covariance)
        else:
            log_likelihood = self.vision.expected_log_likelihood(q.mean_shift, q.covariance)
        q.alpha = self.vision.responsibilities(log_likelihood)

    def assign_subbands(self, is_first: bool) -> None:
        """E-Z step of sound: T7 in the first round, T6 afterwards; then the M step of rho, T10."""
        if self.audio is None:
            return
        q = self.posterior
        if is_first:
            log_likelihood = self.audio.predicted_log_likelihood(q.covariance, q.log_prior)
        else:
            log_likelihood = self._expected_audio_log_likelihood(self.audio)
        q.beta = self.audio.responsibilities(log_likelihood)
        q.log_prior = self.audio.update_prior(q.beta)

    def _expected_audio_log_likelihood(self, audio: AudioAssociation) -> np.ndarray:
        """(K, 1 + N P) `log rho + log kappa` under the current posterior (T6, T9)."""
        q = self.posterior
        belief = audio.direction_error.belief(q.mean_shift, q.covariance, q.audio_information)
        return audio.expected_log_likelihood(belief, q.log_prior)

    def estimate_states(self) -> None:
        """E-S step (T8, T9): the states given the soft assignments."""
        q = self.posterior
        evidence = []
        if self.vision is not None:
            evidence.append(self.vision.information(q.alpha))
        if self.audio is not None:
            q.audio_information = self.audio.information(q.beta)
            evidence.append((q.audio_information.precision, q.audio_information.vector))
        if self._heard is not None:
            evidence.append(self._heard)
        q.mean_shift, q.covariance = update_states(self._predicted_precision, *evidence)

    def estimate_noise(self) -> None:
        """M step of the process noise (T13), for the next frame."""
        q = self.posterior
        q.noise_ratio = self._noise.update(
            q.noise_ratio, self._prediction.propagated, q.mean_shift, q.covariance
        )

    def lower_bound(self) -> float:
        """Bound `F <= log p(observations | past)` at the current posterior (T12).

        Expected log joint plus entropy of q; after an E-S step.
        """
        q, bound = self.posterior, 0.0
        if self.vision is not None:
            log_likelihood = self.vision.expected_log_likelihood(q.mean_shift, q.covariance)
            bound += _assignment_bound(q.alpha, log_likelihood)
        if self.audio is not None:
            log_likelihood = self._expected_audio_log_likelihood(self.audio)
            bound += _assignment_bound(q.beta, log_likelihood)
            bound += self.audio.prior_bound(q.log_prior)
            bound -= self.audio.direction_error.divergence(
                q.mean_shift, q.covariance, q.audio_information
            )
        return bound - self._state_divergence()

    def _state_divergence(self) -> float:
        """`sum_n KL(q(s_n) || N(m_n, S_n))` [nat]."""
        q = self.posterior
        precision = self._predicted_precision
        log_det_predicted = np.linalg.slogdet(q.predicted_covariance)[1]
        log_dets = log_det_predicted - np.linalg.slogdet(q.covariance)[1]
        traces = np.trace(precision @ q.covariance, axis1=1, axis2=2)
        distances = quadratic(q.mean_shift, precision)
        size = q.mean_shift.shape[1]
        return 0.5 * float((traces + distances - size + log_dets).sum())


def _largest_change(before: np.ndarray, after: np.ndarray) -> float:
    """Largest difference of two arrays of one shape, 0 for empty ones."""
    return float(np.abs(after - before).max()) if after.size else 0.0


def _assignment_bound(responsibilities: np.ndarray, log_likelihood: np.ndarray) -> float:
    """`sum z (log likelihood - log z)` with 0 log 0 = 0."""
    used = responsibilities > 0
    weights = responsibilities[used]
    return float((weights * (log_likelihood[used] - np.log(weights))).sum())
