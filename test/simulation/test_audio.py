# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of the room against closed forms.

Delays and levels of the free field, decay of the echo, motion without clicks.
"""

import numpy as np
import pytest

from av_perception.simulation.room_audio import (
    MovingSource,
    block_times,
    finish_sound,
    render_room,
)
from av_perception.simulation.scene import RoomConfig

RATE, SPEED = 16000, 343.0
ANECHOIC = RoomConfig((6.0, 5.0, 3.0), 0.0, (1.0, 2.5, 1.4))
MICROPHONES = np.array([[1.0, 2.5, 1.4], [1.0, 2.7, 1.4], [1.15, 2.5, 1.55]])


def band_noise(seconds, low=300.0, high=6000.0, seed=0):
    samples = np.random.default_rng(seed).normal(size=int(seconds * RATE))
    spectrum, frequency = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / RATE)
    return np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), len(samples))


def still(samples, position):
    return MovingSource(samples, np.tile(position, (len(block_times(len(samples), RATE)), 1)))


def delay_of(late, early):
    """Delay [samples] of one channel against another, from the phase of the cross spectrum.

    The phase is a straight line through 0.
    """
    cross = np.fft.rfft(late * np.hanning(len(late))) * np.conj(
        np.fft.rfft(early * np.hanning(len(early)))
    )
    omega = 2 * np.pi * np.fft.rfftfreq(len(late))
    band = (omega > 0.2) & (omega < 2.0)
    coarse = np.arange(-60, 60, 0.01)
    return coarse[
        np.argmax(
            [(cross[band][::50] * np.exp(1j * omega[band][::50] * d)).real.sum() for d in coarse]
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize('position', [(3.0, 2.5, 1.4), (2.2, 4.1, 1.8), (4.0, 1.0, 1.0)])
def test_free_field_delays_and_levels_match_geometry(position):
    sound = band_noise(1.0)
    rendered = render_room(ANECHOIC, MICROPHONES, [still(sound, position)], RATE)
    distance = np.linalg.norm(MICROPHONES - position, axis=1)
    for channel in (1, 2):
        expected = (distance[channel] - distance[0]) / SPEED * RATE
        assert (
            abs(delay_of(rendered[2000:14000, channel], rendered[2000:14000, 0]) - expected) < 0.05
        )
    assert (
        abs(delay_of(rendered[2000:14000, 0], sound[2000:14000]) - distance[0] / SPEED * RATE)
        < 0.1
        or distance[0] / SPEED * RATE > 55
    )
    level = np.sqrt(np.mean(rendered[2000:14000] ** 2, axis=0)) / np.sqrt(
        np.mean(sound[2000:14000] ** 2)
    )
    np.testing.assert_allclose(level, 1 / distance, rtol=0.03)


def test_absolute_delay_of_the_direct_sound():
    impulse = np.zeros(4000)
    impulse[1000] = 1.0
    rendered = render_room(ANECHOIC, MICROPHONES[:1], [still(impulse, (2.0, 2.5, 1.4))], RATE)
    assert abs(np.argmax(np.abs(rendered[:, 0])) - (1000 + 1.0 / SPEED * RATE)) <= 1


@pytest.mark.slow
def test_moving_talker_is_continuous_and_arrives_from_where_it_is():
    """A tone from a talker passing at 1 m/s: a click would put energy far from the tone."""
    seconds, frequency = 2.0, 500.0
    time = np.arange(int(seconds * RATE)) / RATE
    blocks = block_times(len(time), RATE)
    path = np.stack([np.full(len(blocks), 2.5), 1.5 + blocks, np.full(len(blocks), 1.4)], axis=1)
    rendered = render_room(
        ANECHOIC, MICROPHONES, [MovingSource(np.sin(2 * np.pi * frequency * time), path)], RATE
    )
    middle = rendered[4000:28000, 0]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    bins = np.fft.rfftfreq(len(middle), 1 / RATE)
    far = np.abs(bins - frequency) > 150
    assert spectrum[far].sum() < 1e-4 * spectrum.sum()
    noise = band_noise(seconds, seed=1)
    rendered = render_room(ANECHOIC, MICROPHONES, [MovingSource(noise, path)], RATE)
    for second in (0.5, 1.0, 1.5):
        part = slice(int((second - 0.04) * RATE), int((second + 0.04) * RATE))
        distance = np.linalg.norm(MICROPHONES - [2.5, 1.5 + second, 1.4], axis=1)
        assert (
            abs(
                delay_of(rendered[part, 1], rendered[part, 0])
                - (distance[1] - distance[0]) / SPEED * RATE
            )
            < 0.5
        )


def test_blocks_add_up_to_the_whole_convolution():
    """A talker who hardly moves is rendered like one who stands; skipped silence has no trace."""
    sound = band_noise(1.5) * (np.arange(24000) // 4000 % 2)
    blocks = block_times(len(sound), RATE)
    nearly = np.array([3.0, 2.0, 1.4]) + 1e-4 * np.sin(7 * blocks)[:, None]
    nearly[0] = [3.0, 2.0, 1.4]
    room = RoomConfig((5.0, 4.0, 3.0), 0.2, (1.0, 2.0, 1.4))
    whole = render_room(room, MICROPHONES, [still(sound, (3.0, 2.0, 1.4))], RATE)
    moved = render_room(room, MICROPHONES, [MovingSource(sound, nearly)], RATE)
    assert np.abs(whole - moved).max() < 0.02 * np.abs(whole).max()
    two = render_room(
        room, MICROPHONES, [still(sound, (3.0, 2.0, 1.4)), still(sound, (3.0, 2.0, 1.4))], RATE
    )
    np.testing.assert_allclose(two, 2 * whole, atol=1e-12)


@pytest.mark.parametrize('t60', [0.25, 0.4])
def test_echo_decays_as_asked(t60):
    room = RoomConfig((6.0, 5.0, 3.0), t60, (1.0, 2.5, 1.4))
    impulse = np.zeros(RATE)
    impulse[100] = 1.0
    response = render_room(room, MICROPHONES[:1], [still(impulse, (3.5, 1.7, 1.6))], RATE)[:, 0]
    decay = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-12)
    from_db, to_db = np.argmax(decay < -5), np.argmax(decay < -20)
    measured = 60 / 15 * (to_db - from_db) / RATE
    assert 0.6 * t60 < measured < 1.4 * t60


def test_noise_level_loudness_and_no_clipping():
    random = np.random.default_rng(2)
    clean = np.zeros((RATE, 2))
    clean[4000:12000] = 37.0 * random.normal(size=(8000, 2))
    active = np.zeros(RATE, bool)
    active[4000:12000] = True
    finished = finish_sound(clean, active, 20.0, np.random.default_rng(3)).samples
    assert finished.dtype == np.float32 and np.abs(finished).max() <= 0.9
    ratio = np.mean(finished[active] ** 2) / np.mean(finished[~active] ** 2)
    assert abs(10 * np.log10(ratio) - 20.04) < 0.3
    clean[5000] = 1e5  # one loud sample must not clip
    loudest = finish_sound(clean, active, 20.0, np.random.default_rng(3)).samples
    assert np.abs(loudest).max() <= 0.9 + 1e-6
    silent = finish_sound(
        np.zeros((1000, 2)), np.zeros(1000, bool), 30.0, np.random.default_rng(0)
    ).samples
    assert np.isfinite(silent).all() and 0 < np.abs(silent).max() < 0.05
