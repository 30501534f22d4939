# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whole recordings of people who are seen: one voice made clear, or several told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times
from av_perception.audio_visual.seen_prior import VISION_WEIGHT, seen_prior
from av_perception.audio_visual.switch import SwitchConfig, see_by_switch
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.audio_visual.voices import VoicesConfig, separate_power
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.offline import Piece, Progress, enhance_pieces
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior
from av_perception.spectral.pieces import join_pieces

_PIECE = 16 * RATE  # samples: memory stays bounded, noise may change
_FADE = RATE // 2  # samples of a piece that fade into the next
_LEAST_LEVEL = 1e-3  # of the loudest sample: what is quieter is not amplified

#: Features at times (T,) [s] after the first sample.
Seen = Callable[[np.ndarray], VisualFeatures]


def enhance_seen(
    samples: np.ndarray,
    prior: SpeechPrior,
    visual: VisualPrior,
    seen: Seen,
    config: EngineConfig | None = None,
    vision_weight: float = VISION_WEIGHT,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording with a prior of speech that sees the speaker.

    Parameters
    ----------
    samples
        (N,) at 16 kHz, finite.
    prior
        Of speech, frame-wise.
    visual
        What features say of its latents.
    seen
        Gives the features; `features.resample` makes them of those of images.
    config, vision_weight
        Of the engine; see `seen_prior`.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """

    def gain_of(piece: Piece, show: Progress) -> np.ndarray:
        open_eyes = seen_prior(prior, visual, _seen_in(piece, seen), vision_weight)
        return enhance_power(piece.power, open_eyes, config, progress=show).gain

    return enhance_pieces(samples, gain_of, progress)


def enhance_switched(
    samples: np.ndarray,
    prior: SpeechPrior,
    visual: VisualPrior,
    seen: Seen,
    config: SwitchConfig | None = None,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Enhance a recording with eyes that are believed while they help.

    Parameters
    ----------
    samples, prior, visual, seen, progress
        As for `enhance_seen`.
    config
        Of the switch.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """

    def gain_of(piece: Piece, show: Progress) -> np.ndarray:
        features = _seen_in(piece, seen)
        return see_by_switch(piece.power, prior, visual, features, config, show).gain

    return enhance_pieces(samples, gain_of, progress)


def _seen_in(piece: Piece, seen: Seen) -> VisualFeatures:
    return seen(frame_times(len(piece.power), piece.start_s))


def separate_seen(
    samples: np.ndarray,
    prior: SpeechPrior,
    visual: VisualPrior,
    people: Sequence[Seen],
    speaking: Sequence[Callable[[np.ndarray], np.ndarray]] | None = None,
    config: VoicesConfig | None = None,
    progress: Progress = lambda fraction: None,
) -> np.ndarray:
    """Tell the voices of people in one channel apart by their faces.

    Parameters
    ----------
    samples, prior, visual, config, progress
        As for `enhance_seen`, with a `VoicesConfig`.
    people, speaking
        Of each, what is seen at times [s] after the first sample; how likely they speak, or NaN.

    Returns
    -------
    np.ndarray
        (N, J) voices; `samples` less their sum is the noise.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak:
        return np.zeros((len(samples), len(people)))

    def piece(start: int, end: int) -> np.ndarray:
        own = samples[start:end]
        level = max(np.abs(own).max(), _LEAST_LEVEL * peak)
        spectra = PRIOR_TRANSFORM.forward(own / level)
        times = frame_times(len(spectra), start / RATE)
        priors = [seen_prior(prior, visual, seen(times)) for seen in people]
        known = None if speaking is None else np.stack([one(times) for one in speaking])
        gains = separate_power(np.abs(spectra) ** 2, priors, config, speaking=known).gains
        progress(end / len(samples))
        voices = [PRIOR_TRANSFORM.inverse(gain * spectra, len(own)) for gain in gains]
        return level * np.stack(voices, axis=1)

    return join_pieces(piece, len(samples), _PIECE, _FADE)
