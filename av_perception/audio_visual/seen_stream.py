# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A live stream of somebody who is seen: `enhancement.prior_stream` with eyes.

Three ways to use what vision says of the latents of a frame, p(z | v):

cvae     in place of N(0, I): the prior of the conditional VAE (Sadeghi et al. 2020)
min_vae  as a second encoder: latents begin where the ears or the eyes put them; q_n, that the ears
         chose, weighs what both lead to (Sadeghi and Alameda-Pineda 2021, mixture of inference
         networks)
swvae    beside a mode without eyes, with a switch that follows the past alone and doubts the
         eyes as that of recordings does: e, that the eyes are right (Sadeghi and Alameda-Pineda
         2021, switching VAEs)

Images are never waited for: the newest holds for 60 ms, then nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times
from av_perception.audio_visual.modes import FilteredChain, ModesStep
from av_perception.audio_visual.seeing_objective import hearing_posterior
from av_perception.audio_visual.seen_prior import SeenPrior
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.alternation import PossibleSpeech
from av_perception.enhancement.noise_model import NoiseModel
from av_perception.enhancement.posterior import Posterior, fisher_move
from av_perception.enhancement.prior import SpeechPrior
from av_perception.enhancement.prior_stream import (
    BlockLatents,
    BlockStep,
    PriorStream,
    PriorStreamConfig,
)

OFF = 'off'
CVAE = 'cvae'
MIN_VAE = 'min_vae'
SWVAE = 'swvae'
VISUAL_MODES = (OFF, CVAE, MIN_VAE, SWVAE)
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
        self._chain = FilteredChain(2)  # of eyes that are shut, and open
        self._newest: ModesStep | None = None
        self.belief = float('nan')

    def _step(self, heard: np.ndarray, count: int) -> BlockStep:
        """See `PriorStream`."""
        heard = heard[:count]
        features = self._seen(frame_times(self._done + count)[self._done :])
        open_eyes = SeenPrior(self._prior, *self._visual.prior(features))
        if self._mode == CVAE:
            self.belief = float(features.reliability.mean())
            return BlockLatents(open_eyes, heard)
        mean, variance = (np.tile(one, (count, 1)) for one in self._visual.blind())
        shut_eyes = SeenPrior(self._prior, mean, variance)
        modes = _BothModes(self._prior, shut_eyes, open_eyes, heard, self._mode == MIN_VAE)
        is_shown = features.reliability > 0
        chain = _Choice(is_shown) if self._mode == MIN_VAE else _Block(self._chain, is_shown)
        self._newest = ModesStep(modes, chain, np.full((count, 2), 0.5, np.float32))
        return self._newest

    def _gain(self, power: np.ndarray) -> np.ndarray:
        """See `PriorStream`."""
        gain = super()._gain(power)
        if self._newest is not None:
            shares = self._newest.shares
            self.belief = float(shares[:, 1].mean())
            self._chain.keep(shares)
        return gain


class _Block:
    """The chain of a switch, for the next frames; is_shown: (T,) whether anything is seen."""

    def __init__(self, chain: FilteredChain, is_shown: np.ndarray):
        self._chain = chain
        self._is_shown = is_shown

    def shares(self, losses: np.ndarray) -> np.ndarray:
        """(T, 2) how far ears alone and eyes are believed."""
        return self._chain.filtered(losses, self._is_shown)


class _Choice:
    """q of a mixture of encoders, which has no memory; is_shown: (T,) whether anything is seen."""

    def __init__(self, is_shown: np.ndarray):
        self._is_shown = is_shown

    def shares(self, losses: np.ndarray) -> np.ndarray:
        """(T, 2) that ears, or eyes, chose."""
        ears = hearing_posterior(losses[:, 0] - losses[:, 1], _EARS)
        ears = np.where(self._is_shown, ears, 1.0)
        return np.stack([ears, 1 - ears], axis=1)


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

    def speech(self, shares: np.ndarray) -> PossibleSpeech:
        """Give what latents of both decode to, weighed by their shares (T, 2)."""
        variance = self._decoded.reshape(2, -1, self._decoded.shape[1])
        return PossibleSpeech(variance, shares.T.astype(np.float32))

    def improve(self, posterior: Posterior) -> np.ndarray:
        """Take one step of Fisher scoring where it helps; gives the losses F (T, 2) of both.

        They are Laplace's: -log of the integral of exp(-U) about its least.
        """
        power = np.tile(posterior.power, (2, 1))
        twice = Posterior(self._prior, power, _twice(posterior.model), posterior.weight)
        found = fisher_move(twice, self._latents, self._decoded, _LENGTHS)
        self._latents = found.latents
        self._decoded = found.decoded
        losses = found.misfit + 0.5 * np.linalg.slogdet(found.curvature)[1]
        return losses.reshape(2, -1).T


def _twice(model: NoiseModel) -> NoiseModel:
    """Noise and gains of T frames, as if the frames came twice."""
    activations = np.tile(model.factors.activations, 2)
    return NoiseModel(
        np.tile(model.guess, (2, 1)),
        np.tile(model.guess_gain, 2),
        np.tile(model.speech_gain, 2),
        replace(model.factors, activations=activations),
    )
