# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A prior of speech that has seen the speaker: what every E-step of the engine takes.

The latents of each frame have the mean and the variance that vision gives, in place of N(0, I).
The decoder is the prior's own. The encoder's Gaussian N(e, u), made under N(0, I), meets vision as

    1 / u' = 1 / u + c (1 / p - 1),     m' / u' = e / u + c m / p

which without vision (m = 0, p = 1) is the encoder's own. A c above one is for recordings in noise:
there the encoder, which learnt from clean speech, is surer of itself than it should be.
"""

from __future__ import annotations

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.prior import SpeechPrior, TunablePrior

#: c: how much more vision counts than beside an encoder that hears clean speech.
VISION_WEIGHT = 4.0
_LEAST_VARIANCE = 1e-4
_LEAST_SHARE = 0.05  # of the encoder's precision that a very wide visual prior leaves


class SeenPrior:
    """See `enhancement.prior.SpeechPrior`; its frames are those of the features.

    Parameters
    ----------
    prior
        Of speech, frame-wise, with latents that are N(0, I).
    mean, variance
        (T, L) of the latents, by vision.
    vision_weight
        c above.
    """

    def __init__(
        self,
        prior: SpeechPrior,
        mean: np.ndarray,
        variance: np.ndarray,
        vision_weight: float = VISION_WEIGHT,
    ):
        self._inner = prior
        self._mean = np.asarray(mean, np.float32)
        self._variance = np.maximum(variance, _LEAST_VARIANCE).astype(np.float32)
        self._vision_weight = vision_weight

    @property
    def num_bins(self) -> int:
        """F."""
        return self._inner.num_bins

    @property
    def num_latents(self) -> int:
        """L."""
        return self._inner.num_latents

    @property
    def is_frame_wise(self) -> bool:
        """Whether frames are on their own; they are."""
        return self._inner.is_frame_wise

    def encode(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of the latents, of the power of speech (T, F) and vision."""
        return self.fused(*self._inner.encode(power))[:2]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Variance of speech (T, F), positive, of latents (T, L)."""
        return self._inner.decode(latents)

    def decode_gradient(self, latents: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Gradient (T, L) of `sum_tf weights_tf log v_tf` in the latents."""
        return self._inner.decode_gradient(latents, weights)

    def decode_jacobian(self, latents: np.ndarray) -> np.ndarray:
        """Give the derivatives (T, F, L) of log v_t in z_t."""
        return self._inner.decode_jacobian(latents)

    def prior(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of the latents, by vision."""
        return self._mean, self._variance

    def fused(
        self, mean: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and variance (T, L) where encoder and vision meet, and the share of the first."""
        weight = self._vision_weight
        change = variance * weight * (1 / self._variance - 1)
        share = 1 / np.maximum(1 + change, _LEAST_SHARE)
        center = share * (mean + variance * weight * self._mean / self._variance)
        return center.astype(mean.dtype), (share * variance).astype(mean.dtype), share


class TunableSeenPrior(SeenPrior):
    """The same of a prior whose encoder can be fitted to a recording."""

    _inner: TunablePrior

    def encoder_parameters(self) -> dict[str, np.ndarray]:
        """All numbers of the encoder, by name."""
        return self._inner.encoder_parameters()

    def encoder_gradient(
        self, power: np.ndarray, mean_gradient: np.ndarray, log_variance_gradient: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Gradients in the encoder's parameters, of those (T, L) in what `encode` gives."""
        mean, variance = self._inner.encode(power)
        fused, _, share = self.fused(mean, variance)
        # With s = u' / u: dm'/de = s, dm'/dlog u = s (m' - e), dlog u'/dlog u = s.
        is_free = share < 1 / _LEAST_SHARE  # elsewhere s is a constant
        mean_slope = np.where(is_free, share * (fused - mean), fused - share * mean)
        log_slope = np.where(is_free, share, 1.0)
        log_gradient = log_slope * log_variance_gradient + mean_slope * mean_gradient
        return self._inner.encoder_gradient(power, share * mean_gradient, log_gradient)

    def with_encoder(self, parameters: dict[str, np.ndarray]) -> TunableSeenPrior:
        """Give the same prior with another encoder."""
        inner = self._inner.with_encoder(parameters)
        return TunableSeenPrior(inner, self._mean, self._variance, self._vision_weight)


def seen_prior(
    prior: SpeechPrior,
    visual: VisualPrior,
    features: VisualFeatures,
    vision_weight: float = VISION_WEIGHT,
) -> SeenPrior:
    """Let a prior of speech see the speaker.

    Parameters
    ----------
    prior
        Of speech, frame-wise, with latents that are N(0, I).
    visual
        What features say of these latents.
    features
        Of the frames that the engine will fit.
    vision_weight
        See this module.

    Returns
    -------
    SeenPrior
        For `enhancement.engine.enhance_power`; tunable where the prior is.

    Raises
    ------
    ValueError
        When latents or features are other than the visual prior's, or frames are not on their own.
    """
    if not prior.is_frame_wise:
        raise ValueError('vision needs a prior of speech whose frames are on their own: a vae')
    if visual.num_latents != prior.num_latents or visual.num_features != features.size:
        raise ValueError(
            f'the visual prior is of {visual.num_features} features and {visual.num_latents} '
            f'latents, not of {features.size} and {prior.num_latents}'
        )
    mean, variance = visual.prior(features)
    kind = TunableSeenPrior if isinstance(prior, TunablePrior) else SeenPrior
    return kind(prior, mean, variance, vision_weight)


def blind_prior(prior: SpeechPrior, visual: VisualPrior, num_frames: int) -> SeenPrior:
    """Give a prior of speech the Gaussian of speech that is not seen: what a switch compares with.

    N(0, I) is wider than speech is; beside it, eyes that show anything are right too often.
    """
    mean, variance = (np.broadcast_to(one, (num_frames, len(one))) for one in visual.blind())
    kind = TunableSeenPrior if isinstance(prior, TunablePrior) else SeenPrior
    return kind(prior, mean, variance)


def switch_priors(
    prior: SpeechPrior,
    visual: VisualPrior,
    features: VisualFeatures,
    mistimed: VisualFeatures | None = None,
) -> list[SeenPrior]:
    """Give the modes that a switch compares: eyes shut, eyes at another moment, and eyes.

    Parameters
    ----------
    prior, visual, features
        As for `seen_prior`.
    mistimed
        What the eyes showed at another moment; None: they are compared with shut eyes alone.

    Returns
    -------
    list of SeenPrior
        The one that is to prove itself last.
    """
    shut = blind_prior(prior, visual, len(features))
    opened = [one for one in (mistimed, features) if one is not None]
    return [shut, *(seen_prior(prior, visual, one) for one in opened)]
