# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When a sample or an image of a source (recording, file) was captured: the one rule for live and offline runs."""

from __future__ import annotations


def sample_stamp_ns(source, index: int) -> int:
    """Nanoseconds from the source's second 0 to sample `index` (source.audio_start_s, source.sample_rate)."""
    return round(1e9 * source.audio_start_s) + index * 1_000_000_000 // source.sample_rate


def image_stamp_ns(source, index: int) -> int:
    """Nanoseconds from the source's second 0 to image `index` (source.video_start_s, source.frame_rate)."""
    return round(1e9 * source.video_start_s) + round(1e9 * index / source.frame_rate)
