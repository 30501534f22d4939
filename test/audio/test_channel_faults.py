# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of single channels at their limits, which of several is told, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio.channel_faults import ChannelCheckConfig, channel_faults

COUNT = 16000
LIMITS = ChannelCheckConfig(dead_db=50.0, quiet_db=20.0, clipped_share=1e-3, constant_ratio=0.5)


def sound(channels=4, seed=0):
    """Independent noise of equal power, far from full scale."""
    samples = np.random.default_rng(seed).standard_normal((COUNT, channels))
    return 0.05 * samples / samples.std(axis=0)


def faults_of(samples):
    return {index: fault.text for index, fault in channel_faults(samples, LIMITS).items()}


def test_good_sound_has_no_faults_at_any_level():
    for gain in (1e-6, 1e-2, 1.0):
        assert channel_faults(gain * sound(), LIMITS) == {}


@pytest.mark.parametrize(
    'level_db, told',
    [
        (-19.9, None),
        (-20.1, 'is 20 dB quieter than the loudest'),
        (-49.9, 'is 50 dB quieter'),
        (-50.1, 'is dead: no sound in it'),
        (-np.inf, 'is dead: no sound in it'),
    ],
)
def test_a_channel_is_quiet_and_then_dead(level_db, told):
    samples = sound()
    samples[:, 2] *= 10 ** (level_db / 20)
    faults = faults_of(samples)
    assert list(faults) == ([2] if told else [])
    assert not told or told in faults[2]


def test_silence_is_dead_on_every_channel():
    assert faults_of(np.zeros((COUNT, 2))) == dict.fromkeys((0, 1), 'is dead: no sound in it')


@pytest.mark.parametrize('clipped, told', [(16, None), (17, 'clips: 0.11% of its samples')])
def test_a_channel_clips_beyond_the_allowed_share(clipped, told):
    samples = sound()
    samples[:clipped, 1] = np.where(np.arange(clipped) % 2, 1.0, -1.0)
    faults = faults_of(samples)
    assert list(faults) == ([1] if told else []) and (not told or told in faults[1])


def test_integers_stored_as_floats_are_told_from_gain():
    faults = faults_of(np.round(32768 * sound()))
    assert sorted(faults) == [0, 1, 2, 3]
    assert all('integers stored as floats? Divide by 32768' in text for text in faults.values())


@pytest.mark.parametrize('ratio, faulty', [(0.49, False), (0.52, True), (-0.52, True)])
def test_an_offset_is_a_fault_beyond_half_of_the_sound(ratio, faulty):
    samples = sound()
    samples[:, 3] += ratio * 0.05 - samples[:, 3].mean()
    faults = faults_of(samples)
    assert list(faults) == ([3] if faulty else [])
    assert not faulty or f'constant offset (DC) of {0.05 * ratio:.3f}' in faults[3]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_one_sample_that_is_no_number_is_a_fault_of_its_channel_alone(value):
    samples = sound()
    samples[77, 0] = value
    assert faults_of(samples) == {0: 'has samples that are not numbers'}


@pytest.mark.parametrize('difference, copied', [(9e-4, True), (1.1e-3, False)])
def test_a_copy_differs_by_less_than_a_millionth_of_the_power(difference, copied):
    samples = sound()
    samples[:, 3] = samples[:, 1] + difference * samples[:, 0]
    assert faults_of(samples) == ({3: 'is a copy of channel 1'} if copied else {})


def test_of_three_equal_channels_two_are_copies_of_the_first():
    samples = sound()
    samples[:, 2] = samples[:, 3] = samples[:, 0]
    faults = faults_of(samples)
    assert sorted(faults) == [2, 3] and faults[2] == 'is a copy of channel 0'


def test_dead_channels_are_no_copies_of_each_other():
    samples = sound()
    samples[:, [1, 3]] = 0
    assert set(faults_of(samples).values()) == {'is dead: no sound in it'}


def test_the_gravest_fault_is_told_and_only_light_ones_leave_a_channel_usable():
    samples = sound(5)
    samples[:100, 0] = 1.0
    samples[5, 0] = np.nan
    samples[:, 1] = 0.0
    samples[:100, 2] = 1.0
    samples[:, 3] *= 0.05
    faults = channel_faults(samples, LIMITS)
    assert [faults[i].text.split()[0] for i in range(4)] == ['has', 'is', 'clips:', 'is']
    assert [faults[i].usable for i in range(4)] == [False, False, True, True]
    assert 4 not in faults
