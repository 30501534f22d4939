# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Noise is found in the pauses and under the words of a voice."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal

from av_perception.enhancement.noise_tracking import (
    LEAST_POWER,
    NoiseTracker,
    NoiseTrackingConfig,
    track_noise,
)

HOP_S = 0.016
FRAMES = 400


def noise_power(level=1.0, frames=FRAMES, seed=0):
    return np.abs(complex_normal(np.full((frames, 65), level), np.random.default_rng(seed))) ** 2


def in_db(ratio):
    return 10 * np.log10(ratio)


def test_noise_alone_is_found_but_for_what_passes_for_speech():
    """Loud moments of noise count as speech: the estimate lies about 1 dB low, as published."""
    found = track_noise(noise_power(level=3.0), HOP_S)[50:]
    assert -1.5 < in_db(found.mean() / 3.0) < 0.0


def test_speech_of_20_db_in_a_third_of_the_frames_raises_it_little():
    power = noise_power()
    speaks = (np.arange(FRAMES) // 15) % 3 == 1
    power[speaks] += 100 * noise_power(seed=1)[speaks]
    found = track_noise(power, HOP_S)[50:]
    assert abs(in_db(found.mean())) < 1.5


def test_a_rise_of_10_db_is_followed_within_a_second():
    power = np.concatenate([noise_power(), noise_power(level=10.0)])
    found = track_noise(power, HOP_S).mean(axis=1)
    assert abs(in_db(found[FRAMES + round(1 / HOP_S)] / 10)) < 2


def test_a_fall_is_followed_within_half_a_second():
    power = np.concatenate([noise_power(level=10.0), noise_power()])
    found = track_noise(power, HOP_S).mean(axis=1)
    assert abs(in_db(found[FRAMES + round(0.5 / HOP_S)])) < 1.5


def test_sound_after_digital_silence_is_not_taken_for_speech_for_ever():
    power = np.concatenate([np.zeros((50, 65)), noise_power()])
    found = track_noise(power, HOP_S)
    assert np.isfinite(found).all() and (found >= LEAST_POWER).all()
    assert abs(in_db(found[-50:].mean())) < 2


def test_frame_by_frame_gives_what_the_whole_gives():
    power = noise_power(frames=60)
    tracker = NoiseTracker(HOP_S)
    rows = [tracker.update(row) for row in power]
    np.testing.assert_array_equal(np.stack(rows), track_noise(power, HOP_S))


def test_channels_do_not_mix():
    power = np.stack([noise_power(), noise_power(level=5.0, seed=1)], axis=1)
    found = track_noise(power, HOP_S)
    np.testing.assert_allclose(found[:, 1], track_noise(power[:, 1], HOP_S))


def test_after_a_reset_the_past_is_forgotten():
    tracker = NoiseTracker(HOP_S)
    for row in noise_power(level=100.0):
        tracker.update(row)
    tracker.reset()
    row = noise_power()[0]
    np.testing.assert_array_equal(tracker.update(row), np.maximum(row, LEAST_POWER))


@pytest.mark.parametrize('field', ['smoothing_s', 'presence_smoothing_s'])
@pytest.mark.parametrize('value', [0.0, -1.0, float('nan')])
def test_times_must_be_positive(field, value):
    with pytest.raises(ValueError, match=field):
        NoiseTrackingConfig(**{field: value})
