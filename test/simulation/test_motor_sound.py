# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Motors whine as fast and as loud as they turn, and are silent at rest."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.robot_head import load_head
from av_perception.simulation.motor_sound import MotorSound, MotorSoundConfig

MICROPHONES = load_head('simulated').microphones.positions
RATE = 16000
HOP = 640


def stream(rates, config=None, seed=0):
    """The sound of (joints, hops) rates, each held for a hop."""
    motors = MotorSound(config or MotorSoundConfig(), MICROPHONES, RATE, len(rates), seed)
    return np.concatenate([motors.render(np.repeat(r[:, None], 20, 1), HOP) for r in rates.T])


def rms(sound):
    return float(np.sqrt(np.mean(sound**2)))


def test_rest_is_silence():
    assert not stream(np.zeros((2, 5))).any()


def test_the_level_is_that_of_the_configuration():
    sound = stream(np.array([[4.0] * 40, [0.0] * 40]), seed=3)
    assert rms(sound[5 * HOP :]) == pytest.approx(0.06, rel=0.35)


def test_faster_is_louder():
    slow, fast = (stream(np.array([[rate] * 30]))[5 * HOP :] for rate in (0.5, 4.0))
    assert rms(fast) > 2 * rms(slow)


@pytest.mark.parametrize('rate', [1.0, 4.0])
def test_the_pitch_follows_the_rate(rate):
    """The tones lie at the multiples of the teeth that pass per second, not between them."""
    motors = MotorSound(MotorSoundConfig(), MICROPHONES, RATE, 1, 0)
    pitch = rate * motors._teeth[0]
    sound = stream(np.array([[rate] * 60]))[5 * HOP :, 0]
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    at = np.arange(2, 7)[:, None] * pitch + np.linspace(-4, 4, 9)

    def energy(frequencies):
        return power[np.round(frequencies * len(sound) / RATE).astype(int)].sum()

    assert energy(at) > 10 * energy(at + pitch / 2)


def test_the_stream_does_not_depend_on_how_it_is_cut():
    """Apart from noise, which is drawn anew, the tail of a hop goes on in the next."""
    motors = MotorSound(MotorSoundConfig(), MICROPHONES, RATE, 1, 0)
    motors.render(np.full((1, 20), 3.0), HOP)
    after = motors.render(np.zeros((1, 20)), HOP)
    assert rms(after[:100]) > 10 * rms(after[-100:])
    assert not motors.render(np.zeros((1, 20)), 2 * HOP)[HOP:].any()


def test_it_comes_from_the_neck_and_through_the_body():
    """Neighbors hear it alike but not equal: no wave from one direction explains it."""
    sound = stream(np.array([[4.0] * 40]))[5 * HOP :]
    spectra = np.fft.rfft(
        sound[: 32 * 512].reshape(32, 512, -1) * np.hanning(512)[:, None], axis=1
    )
    cross = np.mean(spectra[..., 0] * spectra[..., 2].conj(), axis=0)
    power = np.mean(np.abs(spectra) ** 2, axis=0)
    coherence = np.abs(cross) / np.sqrt(power[:, 0] * power[:, 2])
    assert np.median(coherence[10:150]) > 0.5
    phase = np.angle(cross[10:150])
    slope = np.polyfit(np.arange(10, 150), np.unwrap(phase), 1)
    assert np.std(np.unwrap(phase) - np.polyval(slope, np.arange(10, 150))) > 0.2


@pytest.mark.parametrize('wrong', [{'level': -1.0}, {'teeth_per_rad': 0.0}, {'air_share': 1.5}])
def test_senseless_motors_are_refused(wrong):
    with pytest.raises(ValueError):
        MotorSoundConfig(**wrong)
