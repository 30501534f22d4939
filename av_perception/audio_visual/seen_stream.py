# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A live stream of somebody who is seen: `enhancement.prior_stream` with eyes.

Three ways to use what vision says of the latents of a frame, p(z | v):

cvae     in place of N(0, I): the prior of the conditional VAE (Sadeghi et al. 2020)
min_vae  as a second encoder: latents begin where the ears or the eyes put them; q_n, that the ears
         chose, weighs what both lead to (Sadeghi and Alameda-Pineda 2021, mixture of inference
         networks)
swvae    beside a mode without eyes, with a switch that follows the past alone: e, that the eyes
         are right (Sadeghi and Alameda-Pineda 2021, switching VAEs)

Images are never waited for: the newest holds for 60 ms, then nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times
from av_perception.audio_visual.seeing_objective import hearing_posterior
from av_perception.audio_visual.seen_prior import SeenPrior
from av_perception.audio_visual.switch import first_transition
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.noise_model import NoiseModel, maximize
from av_perception.enhancement.posterior import Posterior, fisher_move
from av_perception.enhancement.prior import SpeechPrior
from av_perception.enhancement.prior_stream import PriorStream, PriorStreamConfig

OFF = 'off'
CVAE = 'cvae'
MIN_VAE = 'min_vae'
SWVAE = 'swvae'
VISUAL_MODES = (OFF, CVAE, MIN_VAE, SWVAE)
_STAY = 0.97  # probability that eyes which are right, or wrong, are so in the next frame
_SUREST = 4.0  # [nat] that a frame says for or against the eyes: at first noise is not known yet
_LEAST_MODE = 0.01  # probability of a mode: eyes that lied may be right again
_EARS = 0.5  # pi, probability that the ears choose
_LENGTHS = (1.0, 0.25)  # of a step, tried in turn

#: Features at times (T,) [s] after the first sample of the stream.
Seen = Callable[[np.ndarray], VisualFeatures]


class SeenStream(PriorStream):
    """Samples in, samples out, as `PriorStream`.

    Parameters
    ----------
    prior
        Of speech, frame-wise.
    visual
        What features say of its latents.
    seen
        Gives the features.
    mode
        CVAE, MIN_VAE or SWVAE.
    config
        See `PriorStreamConfig`.

    Attributes
    ----------
    belief
        Of the newest block: how far the eyes counted, in 0..1: the reliability (cvae), 1 - q_n
        (min_vae), e (swvae); NaN before the first.

    Raises
    ------
    ValueError
        For another mode, or a prior whose frames are not on their own.
    """

    def __init__(
        self,
        prior: SpeechPrior,
        visual: VisualPrior,
        seen: Seen,
        mode: str = SWVAE,
        config: PriorStreamConfig | None = None,
    ):
        if mode not in VISUAL_MODES[1:]:
            raise ValueError(f"mode must be one of {', '.join(VISUAL_MODES[1:])}, not '{mode}'")
        if not prior.is_frame_wise:
            raise ValueError('vision needs a prior of speech whose frames are on their own: a vae')
        super().__init__(prior, config)
        self._visual = visual
        self._seen = seen
        self._mode = mode
        self._log_modes = np.log(np.full(2, 0.5))  # of eyes that are shut, and open
        self.belief = float('nan')

    def _fitted(
        self, power: np.ndarray, heard: np.ndarray, model: NoiseModel
    ) -> tuple[np.ndarray, NoiseModel]:
        """See `PriorStream`: (1, T, F) variance of speech, and noise and gains."""
        count = len(power)
        features = self._seen(frame_times(self._done + count)[self._done :])
        open_eyes = SeenPrior(self._prior, *self._visual.prior(features))
        if self._mode == CVAE:
            self.belief = float(features.reliability.mean())
            return self._fitted_by(open_eyes, power, heard, model)
        mean, variance = (np.tile(one, (count, 1)) for one in self._visual.blind())
        shut_eyes = SeenPrior(self._prior, mean, variance)
        modes = _BothModes(self._prior, shut_eyes, open_eyes, heard, self._mode == MIN_VAE)
        variance, shares, model = self._weighed(power, modes, model, features.reliability)
        if self._mode == SWVAE:
            self._log_modes = np.log(np.maximum(shares[:, -1].astype(float), _LEAST_MODE))
        self.belief = float(shares[1].mean())
        return variance, model

    def _weighed(
        self, power: np.ndarray, modes: _BothModes, model: NoiseModel, reliability: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, NoiseModel]:
        """(1, T, F) variance of speech by both modes, their shares (2, T), noise and gains."""
        shares = np.full((2, len(power)), 0.5, np.float32)
        for _ in range(max(1, self._config.rounds)):
            model = maximize(power, model, modes.variance, shares)
            losses = modes.improve(power, model, self._config.evidence_weight)
            shares = self._shares(losses, reliability)
        return np.einsum('mt,mtf->tf', shares, modes.variance)[None], shares, model

    def _shares(self, losses: np.ndarray, reliability: np.ndarray) -> np.ndarray:
        """(2, T) how far ears alone and eyes count, by the losses F (2, T) of both."""
        if self._mode == MIN_VAE:
            ears = hearing_posterior(losses[0] - losses[1], _EARS)
            ears = np.where(reliability > 0, ears, 1.0)
            return np.stack([ears, 1 - ears]).astype(np.float32)
        transition = np.log(first_transition(2, _STAY))
        now = self._log_modes
        found = np.empty(losses.shape)
        # Unseen, both modes say the same: the chain forgets.
        ratios = np.clip(losses[0] - losses[1], -_SUREST, _SUREST) * (reliability > 0)
        for frame in range(losses.shape[1]):  # a block has few
            ahead = np.logaddexp.reduce(now[:, None] + transition, axis=0)
            ahead[1] += ratios[frame]
            now = ahead - np.logaddexp.reduce(ahead)
            found[:, frame] = np.exp(now)
        return found.astype(np.float32)


class _BothModes:
    """Latents of a block with eyes shut and open, one after the other as if of 2 T frames.

    Parameters
    ----------
    prior
        Of speech, which both decode with.
    shut, opened
        The same that does not see, and that sees.
    heard
        (T, F) what the encoder hears.
    is_choice
        Whether latents with eyes open only begin where the eyes put them (min_vae).

    Attributes
    ----------
    variance
        (2, T, F) of speech.
    """

    def __init__(
        self,
        prior: SpeechPrior,
        shut: SeenPrior,
        opened: SeenPrior,
        heard: np.ndarray,
        is_choice: bool,
    ):
        encoded = prior.encode(heard)  # one encoder for both
        by_ears = shut.fused(*encoded)[0]
        if is_choice:
            by_eyes = opened.prior(by_ears)[0]
            opened = shut
        else:
            by_eyes = opened.fused(*encoded)[0]
        means, variances = zip(*(mode.prior(by_ears) for mode in (shut, opened)))
        self._prior = SeenPrior(prior, np.concatenate(means), np.concatenate(variances))
        self._latents = np.concatenate([by_ears, by_eyes])
        self._decoded = prior.decode(self._latents)

    @property
    def variance(self) -> np.ndarray:
        """See the class."""
        return self._decoded.reshape(2, -1, self._decoded.shape[1])

    def improve(self, power: np.ndarray, model: NoiseModel, weight: float) -> np.ndarray:
        """Take one step of Fisher scoring where it helps; gives the losses F (2, T) of both.

        They are Laplace's: -log of the integral of exp(-U) about its least.
        """
        posterior = Posterior(self._prior, np.tile(power, (2, 1)), _twice(model), weight)
        found = fisher_move(posterior, self._latents, self._decoded, _LENGTHS)
        self._latents = found.latents
        self._decoded = found.decoded
        losses = found.misfit + 0.5 * np.linalg.slogdet(found.curvature)[1]
        return losses.reshape(2, -1)


def _twice(model: NoiseModel) -> NoiseModel:
    """Noise and gains of T frames, as if the frames came twice."""
    activations = np.tile(model.factors.activations, 2)
    return NoiseModel(
        np.tile(model.guess, (2, 1)),
        np.tile(model.guess_gain, 2),
        np.tile(model.speech_gain, 2),
        replace(model.factors, activations=activations),
    )
