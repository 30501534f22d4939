# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether to believe the eyes, frame by frame: decoders with and without vision, and a switch.

    alpha_1 ~ p0,  p(alpha_t = m | alpha_t-1 = l) = tau_lm,  z_t | alpha_t = m ~ N(m_m, p_m),
    x_t | z_t, alpha_t = m ~ N_c(0, g v_m(z_t) + noise)

(Sadeghi and Alameda-Pineda, "Switching variational auto-encoders for noise-agnostic audio-visual
speech enhancement", ICASSP 2021). Latents have a Gaussian q(z_t | m) given the mode, with K draws
that are used all the time; the evidence of a mode is that of the weighed draws (Burda, Grosse and
Salakhutdinov, "Importance weighted autoencoders", ICLR 2016):

    F_tm = -log 1/K sum_k exp(-f_tmk),
    f_tmk = w sum_f (|x|^2 / V + log V) - log N(z_k; m_m, p_m) + log q(z_k | m)

A plain bound, K = 1, is looser the wider q is, which is in favor of eyes that lie. Every step
raises B = log sum_alpha p(alpha) prod_t exp(-F_t,alpha_t):

* q(z | m): Fisher steps of the mean, the covariance is the inverse of the curvature (Laplace);
  a frame takes what lowers its F;
* q(alpha): forward-backward with -F as the log likelihoods, less a doubt of the last mode;
* tau: expected transitions, beside a belief worth so many (both: `modes.SmoothedChain`);
* noise and gains: the rules of `noise_model`, each draw weighed by e and by its part of F.

Speech is integrated out, which the publication does not: latents need not wait for it. The
evidence weight w tempers the switch, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.modes import DOUBT, STAY, ModesStep, SmoothedChain
from av_perception.audio_visual.seen_prior import switch_priors
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.alternation import PossibleSpeech, alternate
from av_perception.enhancement.engine import (
    EVIDENCE_WEIGHT,
    check_fit,
    heard_power,
    safe_powers,
)
from av_perception.enhancement.noise_model import NoiseModel, start_noise
from av_perception.enhancement.posterior import Posterior, fisher_step
from av_perception.enhancement.prior import SpeechPrior
from av_perception.numerics.softmax import log_sum_exp

_TRIES = (1.0, 0.25)  # of a step, until it lowers F
_LONGEST = 2.0  # that a latent moves in a step


@dataclass(frozen=True)
class SwitchConfig:
    """How often, with how many draws, and how modes last."""

    #: Rounds of all steps, at least 1.
    iterations: int = 4
    #: Draws of each Gaussian, an even number: they come in opposite pairs.
    samples: int = 8
    #: Spectra that noise is made of beside its first guess.
    rank: int = 4
    #: How much a bin counts against the priors.
    evidence_weight: float = EVIDENCE_WEIGHT
    #: Probability that a mode lasts from one frame to the next, below 1.
    stay: float = STAY
    #: Evidence that every frame of the last mode has to bring beforehand [nat], not negative:
    #: where nothing is heard, nothing speaks against eyes that lie.
    doubt: float = DOUBT
    #: How many frames this belief is worth; 0: transitions are those of the recording.
    stay_frames: float = 400.0
    #: Of all draws.
    seed: int = 0

    def __post_init__(self):
        check_fit(self.iterations, self.rank, self.evidence_weight)
        if self.samples < 2 or self.samples % 2:
            raise ValueError(f'samples must be even, not {self.samples}')
        if not 0 < self.stay < 1:
            raise ValueError(f'stay must lie between 0 and 1, not {self.stay}')
        for name in ('doubt', 'stay_frames'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must not be negative, but is {getattr(self, name)}')


@dataclass(frozen=True)
class Switched:
    """What is known of speech and modes.

    Attributes
    ----------
    gain
        (T, F) in 0..1: speech is `gain * x`, noise the rest.
    modes
        (T, M) e, probability of each mode in each frame.
    transition
        (M, M) tau.
    model
        Noise and gains.
    bounds
        (rounds,) B after q(alpha) of each round.
    """

    gain: np.ndarray
    modes: np.ndarray
    transition: np.ndarray
    model: NoiseModel
    bounds: np.ndarray


class ModeBelief:
    """q(z | m) of one mode.

    Parameters
    ----------
    prior
        Of speech in this mode, frame-wise.
    heard
        (T, F) power that its encoder is fed with.
    draws
        (K, T, L) standard normal, used all the time.
    """

    def __init__(self, prior: SpeechPrior, heard: np.ndarray, draws: np.ndarray):
        self._prior = prior
        self._draws = draws
        self._mean = prior.encode(heard)[0]
        frames, size = self._mean.shape
        self._factor = np.zeros((frames, size, size), np.float32)  # A, A A' the covariance
        #: (K, T, F) variances of speech that the draws decode to
        self.variance = np.zeros((0, 0, 0))
        #: (K, T) f of the draws
        self.losses = np.zeros((0, 0))

    @property
    def loss(self) -> np.ndarray:
        """(T,) F."""
        return np.log(len(self.losses)) - log_sum_exp(-self.losses, axis=0)

    @property
    def weights(self) -> np.ndarray:
        """(K, T) how much each draw counts."""
        return np.exp(-self.losses - log_sum_exp(-self.losses, axis=0))

    def improve(self, posterior: Posterior) -> None:
        """Move where that lowers F, with noise and gains as they are now."""
        posterior = replace(posterior, prior=self._prior)
        if not self.variance.size:
            self._mean = fisher_step(posterior, self._mean)
        slope, curvature = posterior.fisher(self._mean)
        step = -np.linalg.solve(curvature, slope[..., None])[..., 0]
        step = np.clip(step, -_LONGEST, _LONGEST)
        factor = _root_of_inverse(curvature)
        if not self.variance.size:
            self._factor = factor
            self.variance = self._decoded(self._mean, factor)
        self.losses = self._losses(posterior, self._mean, self._factor, self.variance)
        for length in _TRIES:
            mean = (self._mean + length * step).astype(np.float32)
            variance = self._decoded(mean, factor)
            losses = self._losses(posterior, mean, factor, variance)
            is_better = log_sum_exp(-losses, axis=0) > log_sum_exp(-self.losses, axis=0)
            self._mean = np.where(is_better[:, None], mean, self._mean)
            self._factor = np.where(is_better[:, None, None], factor, self._factor)
            self.variance = np.where(is_better[:, None], variance, self.variance)
            self.losses = np.where(is_better, losses, self.losses)
            if is_better.all():
                break
            step = np.where(is_better[:, None], 0.0, step)

    def _latents(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """(K, T, L) of the draws."""
        return (mean + (factor @ self._draws[..., None])[..., 0]).astype(np.float32)

    def _decoded(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """(K, T, F) of the draws."""
        return np.stack([self._prior.decode(z) for z in self._latents(mean, factor)])

    def _losses(
        self, posterior: Posterior, mean: np.ndarray, factor: np.ndarray, variance: np.ndarray
    ) -> np.ndarray:
        """(K, T) f."""
        likelihood = posterior.likelihood_misfit(variance)
        center, spread = self._prior.prior(mean)
        distance = (self._latents(mean, factor) - center) ** 2 / spread + np.log(spread)
        # (log of 2 pi is in both densities)
        log_proposal = 0.5 * (self._draws**2).sum(axis=-1) + np.linalg.slogdet(factor)[1]
        return likelihood + 0.5 * distance.sum(axis=-1) - log_proposal


def see_by_switch(
    power: np.ndarray,
    prior: SpeechPrior,
    visual: VisualPrior,
    features: VisualFeatures,
    config: SwitchConfig | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Switched:
    """Enhance the power of a recording with eyes that are believed while they help.

    Where noise covers the voice, what eyes show may explain a part of the noise by chance. What
    they showed half a recording away does so as often: only eyes that are better than that, too,
    are of this voice.

    Parameters
    ----------
    power, config, progress
        As for `enhance_by_switch`.
    prior, visual, features
        As for `seen_prior.seen_prior`.

    Returns
    -------
    Switched
        The last of the modes are the eyes.
    """
    half = len(features) // 2
    values = np.roll(features.values, half, axis=0)
    mistimed = VisualFeatures(values, np.roll(features.reliability, half))
    priors = switch_priors(prior, visual, features, mistimed)
    return enhance_by_switch(power, priors, config, progress=progress)


def enhance_by_switch(
    power: np.ndarray,
    priors: Sequence[SpeechPrior],
    config: SwitchConfig | None = None,
    guess: np.ndarray | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Switched:
    """Fit noise, latents and modes to the power of a recording.

    Parameters
    ----------
    power
        (T, F) of `PRIOR_TRANSFORM`, finite, of a waveform with a maximum of about one.
    priors
        One of each of M modes, frame-wise, the one that is to prove itself last: those of
        `seen_prior.switch_priors`, say.
    config
        See `SwitchConfig`.
    guess
        (T, F) of the noise; None: it is tracked here.
    progress
        Called with the fraction that is done.

    Returns
    -------
    Switched
        Gains of speech, probabilities of the modes.
    """
    config = config or SwitchConfig()
    if not all(prior.is_frame_wise for prior in priors):
        raise ValueError('a switch needs priors of speech whose frames are on their own: a vae')
    random = np.random.default_rng(config.seed)
    power, guess = safe_powers(power, guess)
    model = start_noise(guess, config.rank, random)
    modes = SampledModes(priors, heard_power(power), config.samples, random)
    start = Posterior(priors[0], power, model, config.evidence_weight)
    return _fit(start, modes, len(priors), config, progress)


def _fit(
    start: Posterior,
    modes: SampledModes,
    num_modes: int,
    config: SwitchConfig,
    progress: Callable[[float], None],
) -> Switched:
    """Take all steps so often."""
    chain = SmoothedChain(num_modes, config.stay, config.stay_frames, config.doubt)
    step = ModesStep(modes, chain, np.full((len(start.power), num_modes), 1 / num_modes))

    def watch(*_) -> None:
        progress(len(chain.bounds) / config.iterations)

    found = alternate(start, step, config.iterations, watch=watch)
    bounds = np.array(chain.bounds)
    return Switched(found.gain, step.shares, chain.transition, found.model, bounds)


class SampledModes:
    """Latents of a recording in each of M modes, see `modes.Modes`.

    Parameters
    ----------
    priors
        Of speech in each mode, frame-wise.
    heard
        (T, F) power that the encoders are fed with.
    samples
        K, draws of each Gaussian.
    random
        Source of the draws, which are used all the time.
    """

    def __init__(
        self,
        priors: Sequence[SpeechPrior],
        heard: np.ndarray,
        samples: int,
        random: np.random.Generator,
    ):
        half = random.standard_normal((samples // 2, len(heard), priors[0].num_latents))
        draws = np.concatenate([half, -half]).astype(np.float32)
        self._beliefs = [ModeBelief(prior, heard, draws) for prior in priors]

    def improve(self, posterior: Posterior) -> np.ndarray:
        """Move where that lowers F; gives F (T, M)."""
        for belief in self._beliefs:
            belief.improve(posterior)
        return np.stack([belief.loss for belief in self._beliefs], axis=1)

    def speech(self, shares: np.ndarray) -> PossibleSpeech:
        """Give all draws, each weighed by its mode's share (T, M) and by its part of F."""
        variance = np.concatenate([belief.variance for belief in self._beliefs])
        pairs = zip(shares.T, self._beliefs)
        weights = np.concatenate([share * belief.weights for share, belief in pairs])
        return PossibleSpeech(variance, weights.astype(np.float32))


def _root_of_inverse(curvature: np.ndarray) -> np.ndarray:
    """(T, L, L) float32 A with `A A' = C^-1`."""
    lower = np.linalg.cholesky(curvature.astype(float))
    eye = np.broadcast_to(np.eye(lower.shape[-1]), lower.shape)
    return np.linalg.solve(lower.swapaxes(1, 2), eye).astype(np.float32)
