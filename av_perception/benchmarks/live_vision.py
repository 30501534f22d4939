# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A clip through the live streams of `voices`: of ears alone, and of eyes with the switch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, frame_times
from av_perception.audio_visual.seen_stream import SWVAE, SeenStream
from av_perception.audio_visual.visual_prior import VisualPrior
from av_perception.enhancement.prior import SpeechPrior
from av_perception.enhancement.prior_stream import PriorStream, PriorStreamConfig

_CHUNK = 256  # samples: as `microphone_array` sends them, less than a block


@dataclass(frozen=True)
class LiveVoice:
    """A voice (N,) as it came out, and how far the eyes were believed in each frame (T,)."""

    samples: np.ndarray
    belief: np.ndarray


def hear_live(samples: np.ndarray, prior: SpeechPrior) -> np.ndarray:
    """(N,) voice by ears alone, of a clip (N,)."""
    return _pushed(PriorStream(prior, PriorStreamConfig()), samples)


def see_live(
    samples: np.ndarray, prior: SpeechPrior, visual: VisualPrior, features: VisualFeatures
) -> LiveVoice:
    """Enhance a clip with eyes that are believed as far as the live switch says.

    Parameters
    ----------
    samples
        (N,) of the clip at 16 kHz.
    prior, visual
        Of speech, and of its latents by what is seen.
    features
        Of the frames that `PRIOR_TRANSFORM.forward` makes of the clip.

    Returns
    -------
    LiveVoice
        As long as the clip.
    """
    stamps = frame_times(len(features))
    blocks: list[int] = []

    def seen(times_s: np.ndarray) -> VisualFeatures:
        blocks.append(len(times_s))
        rows = np.searchsorted(stamps, times_s - 1e-6)
        is_known = rows < len(stamps)  # (a stream ends with some silence)
        rows = np.minimum(rows, len(stamps) - 1)
        return VisualFeatures(features.values[rows], features.reliability[rows] * is_known)

    stream = SeenStream(prior, visual, seen, SWVAE, PriorStreamConfig())
    belief: list[float] = []

    def note() -> None:
        # A chunk completes one block at most, whose belief the stream shows.
        belief.extend([stream.belief] * (sum(blocks) - len(belief)))

    voice = _pushed(stream, samples, note)
    note()
    return LiveVoice(voice, np.array(belief[: len(features)]))


def _pushed(stream: PriorStream, samples: np.ndarray, after_push=lambda: None) -> np.ndarray:
    """(N,) what comes out of a stream, in chunks."""
    parts = []
    for first in range(0, len(samples), _CHUNK):
        parts.append(stream.push(samples[first : first + _CHUNK]))
        after_push()
    parts.append(stream.finish())
    return np.concatenate(parts)[: len(samples)]
