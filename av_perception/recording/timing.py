# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When a sample or an image of a source was captured: the one rule for live and offline runs."""

from __future__ import annotations

from typing import Protocol

from av_perception.geometry.time import NANOSECONDS, nanoseconds


class SoundSource(Protocol):
    """What has samples: a recording or a file."""

    #: [s] time of sample 0
    audio_start_s: float
    #: [Hz]
    sample_rate: int


class ImageSource(Protocol):
    """What has images: a recording or a file."""

    #: [s] time of image 0
    video_start_s: float
    #: [Hz]
    frame_rate: float


def sample_stamp_ns(source: SoundSource, index: int) -> int:
    """Compute the time [ns] from the source's second 0 to sample `index`, rounded down."""
    return nanoseconds(source.audio_start_s) + index * NANOSECONDS // source.sample_rate


def image_stamp_ns(source: ImageSource, index: int) -> int:
    """Compute the time [ns] from the source's second 0 to image `index`."""
    return nanoseconds(source.video_start_s) + nanoseconds(index / source.frame_rate)
