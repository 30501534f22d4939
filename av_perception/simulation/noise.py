# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Noise at the microphones of a head in a room: played from one place or all around; motors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from av_perception.simulation.room_audio import (
    SPEECH_LEVEL,
    MovingSource,
    block_times,
    render_room,
)
from av_perception.simulation.scene import WALL_MARGIN, RoomConfig, Scene
from av_perception.simulation.scene_noise import (
    FAN,
    POINT,
    SERVO,
    SPEECH_SHAPED,
    WHITE,
    SceneNoise,
    read_noise,
    shaped_like,
)

DIFFUSE_SOURCES = 12  # around the head, each with another stretch of the sound


def render_noises(
    scene: Scene,
    microphones: np.ndarray,
    voices: Sequence[np.ndarray],
    sample_rate: int,
    seed: int,
) -> np.ndarray:
    """Render all noises of a scene's room, for speech at SPEECH_LEVEL.

    Parameters
    ----------
    scene
        With its noises.
    microphones
        (channels, 3) [m] in the room.
    voices
        (N,) each: what the talkers utter.
    sample_rate
        [Hz]
    seed
        Of what is drawn.

    Returns
    -------
    np.ndarray
        (N, channels)
    """
    total = np.zeros((len(voices[0]), len(microphones)))
    for index, noise in enumerate(scene.noise):
        random = np.random.default_rng([seed, 5, index])
        samples = _noise_samples(noise, voices, sample_rate, random)
        if noise.kind == POINT:
            place = np.array(scene.room.head_position) + noise.position
            sound = from_place(scene.room, microphones, samples, place, sample_rate)
        else:
            sound = from_all_around(scene.room, microphones, samples, sample_rate, random)
        level = SPEECH_LEVEL * 10 ** (-noise.snr_db / 20)
        total += sound * (level / np.sqrt(np.mean(sound**2)))
    return total


def _noise_samples(
    noise: SceneNoise,
    voices: Sequence[np.ndarray],
    sample_rate: int,
    random: np.random.Generator,
) -> np.ndarray:
    """(N,) dry sound of a noise, as long as the voices."""
    count = len(voices[0])
    if noise.sound == SPEECH_SHAPED:
        return shaped_like(voices, count, random)
    if noise.sound == WHITE:
        return random.normal(size=count)
    if noise.sound == FAN:
        return fan(count, sample_rate, random)
    if noise.sound == SERVO:
        return servo(count, sample_rate, random)
    return read_noise(noise.sound, count, sample_rate)


def from_place(
    room: RoomConfig,
    microphones: np.ndarray,
    samples: np.ndarray,
    position: np.ndarray,
    sample_rate: int,
) -> np.ndarray:
    """Play a sound at one place of a room.

    Parameters
    ----------
    room
        Where it echoes.
    microphones
        (channels, 3) [m] in the room.
    samples
        (N,) of the sound.
    position
        (3,) [m] in the room.
    sample_rate
        [Hz]

    Returns
    -------
    np.ndarray
        (N, channels) sound at the microphones.
    """
    return render_room(room, microphones, [_standing(samples, position, sample_rate)], sample_rate)


def from_all_around(
    room: RoomConfig,
    microphones: np.ndarray,
    samples: np.ndarray,
    sample_rate: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Play a sound from places all around near the walls, each time shifted by a random time.

    Parameters
    ----------
    room
        Where it echoes.
    microphones
        (channels, 3) [m] in the room.
    samples
        (N,) of the sound.
    sample_rate
        [Hz]
    random
        Source of places and shifts.

    Returns
    -------
    np.ndarray
        (N, channels) diffuse sound at the microphones.
    """
    center = np.array(room.size) / 2
    half = center - WALL_MARGIN
    azimuth = 2 * np.pi * (np.arange(DIFFUSE_SOURCES) + random.uniform()) / DIFFUSE_SOURCES
    height = random.uniform(-0.8, 0.8, DIFFUSE_SOURCES)
    ring = np.stack([np.cos(azimuth), np.sin(azimuth), height], axis=1)
    sources = [
        _standing(np.roll(samples, random.integers(len(samples))), place, sample_rate)
        for place in center + ring * half
    ]
    return render_room(room, microphones, sources, sample_rate)


def _standing(samples: np.ndarray, position: np.ndarray, sample_rate: int) -> MovingSource:
    """Make a source that does not move. position: (3,) [m] in the room."""
    blocks = len(block_times(len(samples), sample_rate))
    return MovingSource(samples, np.tile(np.asarray(position, float), (blocks, 1)))


def fan(num_samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """Generate a ventilator: air noise that falls with frequency, the steady tone of its blades.

    Parameters
    ----------
    num_samples
        N.
    sample_rate
        [Hz]
    random
        Source of noise and tone.

    Returns
    -------
    np.ndarray
        (N,)
    """
    spectrum = np.fft.rfft(random.normal(size=num_samples))
    frequency = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    air = np.fft.irfft(spectrum / (1 + frequency / 400.0), num_samples)
    blades = np.sin(2 * np.pi * random.uniform(90, 180) * np.arange(num_samples) / sample_rate)
    return air / air.std() + 0.5 * blades


def servo(num_samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """Generate a joint of a robot that whines for 0.3 to 1.5 s and rests as long.

    The whine is a gliding tone with harmonics and gear noise.

    Parameters
    ----------
    num_samples
        N.
    sample_rate
        [Hz]
    random
        Source of times, tones and noise.

    Returns
    -------
    np.ndarray
        (N,)
    """
    sound = np.zeros(num_samples)
    start = 0
    while start < num_samples:
        length = int(sample_rate * random.uniform(0.3, 1.5))
        ramp = np.sin(np.pi * np.arange(length) / length)
        phase = 2 * np.pi * np.cumsum(random.uniform(150, 300) * (0.5 + ramp)) / sample_rate
        tone = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 13))
        whine = np.sqrt(ramp) * (tone + 0.5 * random.normal(size=length))
        sound[start : start + length] = whine[: num_samples - start]
        start += length + int(sample_rate * random.uniform(0.3, 1.5))
    return sound
