# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Microphones that a driver gates: exact zeros between the words of real voices."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.interfaces import AudioChunk

SECONDS = 8
LOUDER_PERCENT = 45  # what the gate lets through


def share_present(samples, rate):
    """Share of the features that the front end finds above its noise floor."""
    config = AudioFrontEndConfig(voice_activity=False)
    front_end = AudioFrontEnd(config, samples.shape[1], rate)
    found = []
    for first in range(0, len(samples), 1024):
        stamp_ns = 10**18 + round(first * 1e9 / rate)
        piece = np.ascontiguousarray(samples[first : first + 1024])
        found += front_end.push(AudioChunk(stamp_ns, rate, first, piece))
    return np.mean([features.present.mean() for features in found])


@pytest.mark.slow
@pytest.mark.parametrize('distance', ['50cm', '150cm', '250cm'])
def test_a_gated_voice_is_heard_like_the_open_one(distance, data_directory):
    """The zeros of a gate are no measurement of the room, and must not make anybody deaf."""
    folder = data_directory / 'array_respeaker4' / 'a180e20' / distance
    samples, rate = soundfile.read(next(folder.glob('*.flac')), dtype='float32')
    samples = samples[: SECONDS * rate, -4:]
    width = rate // 25
    loudness = np.convolve((samples**2).mean(axis=1), np.ones(width) / width, 'same')
    is_open = loudness > np.percentile(loudness, 100 - LOUDER_PERCENT)
    gated = share_present(samples * is_open[:, None], rate)
    assert gated > 0.7 * share_present(samples, rate)
