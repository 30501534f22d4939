# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Enhancement of a whole recording of somebody who is seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times
from av_perception.audio_visual.seen_prior import VISION_WEIGHT, SeenPrior, seen_prior
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.engine import EngineConfig
from av_perception.enhancement.offline import Progress, enhance_pieces
from av_perception.enhancement.prior import PRIOR_TRANSFORM, RATE, SpeechPrior

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
        Gives the features at times [s] after the first sample; `features.resample` makes them of
        those of images.
    config
        Of the engine.
    vision_weight
        See `seen_prior`.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N,) speech; `samples` less it is the noise.
    """

    def prior_of(start: int, end: int) -> SeenPrior:
        times = frame_times(PRIOR_TRANSFORM.num_frames(end - start), start / RATE)
        return seen_prior(prior, visual, seen(times), vision_weight)

    return enhance_pieces(samples, prior_of, config, progress)
