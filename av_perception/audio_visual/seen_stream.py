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
         2021, switching VAEs). As far as they are not believed, the stream is that of ears alone

Images are never waited for: the newest holds for a while (`lips/lip_reader.py`), then nothing is
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times, nothing_seen
from av_perception.audio_visual.modes import FilteredChain, ModesStep
from av_perception.audio_visual.seeing_objective import hearing_posterior
from av_perception.audio_visual.seen_prior import (
    SeenPrior,
    blind_prior,
    seen_prior,
    switch_priors,
)
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.alternation import PossibleSpeech
from av_perception.enhancement.noise_model import NoiseModel
from av_perception.enhancement.posterior import Posterior, fisher_move
from av_perception.enhancement.prior import SpeechPrior
from av_perception.enhancement.prior_stream import (
    STEP_LENGTHS,
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
        if self._mode == CVAE:
            self.belief = float(features.reliability.mean())
            return BlockLatents(seen_prior(self._prior, self._visual, features), heard)
        modes = self._modes(features, heard)
        is_shown = features.reliability > 0
        chain = _Choice(is_shown) if self._mode == MIN_VAE else _Block(self._chain, is_shown)
        self._newest = ModesStep(modes, chain, np.full((count, 2), 0.5, np.float32))
        return self._newest

    def _modes(self, features: VisualFeatures, heard: np.ndarray) -> _LaplaceModes:
        """Latents of the next frames in all modes."""
        encoded = self._prior.encode(heard)  # one encoder for all
        if self._mode == MIN_VAE:
            # Both modes have the latents of eyes that are shut; open ones say where to begin.
            shut = blind_prior(self._prior, self._visual, len(heard))
            starts = [shut.fused(*encoded)[0], self._visual.prior(features)[0]]
            return _LaplaceModes(self._prior, [shut, shut], starts)
        # Open eyes are to be better than the Gaussian of speech. Where they are not, ears alone
        # are heard as without eyes: from N(0, I).
        unseen = nothing_seen(len(heard), features.size)
        ears = seen_prior(self._prior, self._visual, unseen)
        modes = [ears, *switch_priors(self._prior, self._visual, features)]
        starts = [mode.fused(*encoded)[0] for mode in modes]
        return _LaplaceModes(self._prior, modes, starts, judged=(1, 2), heard=(0, 2))

    def _gain(self, power: np.ndarray) -> np.ndarray:
        """See `PriorStream`."""
        gain = super()._gain(power)
        if self._newest is not None:
            shares = self._newest.shares
            self.belief = float(shares[:, -1].mean())
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


class _LaplaceModes:
    """Latents of a block in each of M modes, one after the other as if of M T frames.

    Parameters
    ----------
    prior
        Of speech, which all decode with.
    modes
        The same with what each mode knows of its latents.
    starts
        (T, L) latents of each to begin with.
    judged, heard
        Which of them are compared, and which speak where those are believed.
    """

    def __init__(
        self,
        prior: SpeechPrior,
        modes: Sequence[SeenPrior],
        starts: Sequence[np.ndarray],
        judged: Sequence[int] = (0, 1),
        heard: Sequence[int] = (0, 1),
    ):
        means, variances = zip(*(mode.prior(start) for mode, start in zip(modes, starts)))
        self._prior = SeenPrior(prior, np.concatenate(means), np.concatenate(variances))
        self._latents = np.concatenate(starts)
        self._decoded = prior.decode(self._latents)
        self._count = len(modes)
        self._judged = list(judged)
        self._heard = list(heard)

    def speech(self, shares: np.ndarray) -> PossibleSpeech:
        """Give what latents decode to, weighed by the shares (T, 2) of those that speak."""
        variance = self._decoded.reshape(self._count, -1, self._decoded.shape[1])
        return PossibleSpeech(variance[self._heard], shares.T.astype(np.float32))

    def improve(self, posterior: Posterior) -> np.ndarray:
        """Take one step of Fisher scoring where it helps; gives the losses F (T, 2) to compare.

        They are Laplace's: -log of the integral of exp(-U) about its least.
        """
        power = np.tile(posterior.power, (self._count, 1))
        model = _repeated(posterior.model, self._count)
        together = Posterior(self._prior, power, model, posterior.weight)
        found = fisher_move(together, self._latents, self._decoded, STEP_LENGTHS)
        self._latents = found.latents
        self._decoded = found.decoded
        losses = found.misfit + 0.5 * np.linalg.slogdet(found.curvature)[1]
        return losses.reshape(self._count, -1)[self._judged].T


def _repeated(model: NoiseModel, count: int) -> NoiseModel:
    """Noise and gains of T frames, as if the frames came so often."""
    activations = np.tile(model.factors.activations, count)
    return NoiseModel(
        np.tile(model.guess, (count, 1)),
        np.tile(model.guess_gain, count),
        np.tile(model.speech_gain, count),
        replace(model.factors, activations=activations),
    )
