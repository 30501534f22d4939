"""What the tests of the clustering package share: a pair of microphones, planted sounds and mixtures."""

from __future__ import annotations

import numpy as np
from tracking_scenes import HEAD

from av_perception.clustering.microphone_pair import MicrophonePair, frontal_pair, speed_of_sound
from av_perception.geometry import direction_from_angles

CHANNELS = frontal_pair(HEAD.microphones)
PAIR = MicrophonePair.of_array(HEAD.microphones, CHANNELS)


def delayed_noise(count: int, delays_s, rng, sample_rate: int = 16000) -> np.ndarray:
    """(count, len(delays)) white noise that reaches channel c delays_s[c] later than channel 0 would without, by exact phase shifts."""
    spectrum = np.fft.rfft(rng.normal(0, 0.1, count))
    omega = 2 * np.pi * np.fft.rfftfreq(count, 1 / sample_rate)
    return np.stack([np.fft.irfft(spectrum * np.exp(-1j * omega * delay), count) for delay in delays_s], axis=1)


def sound_at(position_base, count: int, rng, head=HEAD, microphones=None, sample_rate: int = 16000) -> np.ndarray:
    """(count, channels) float32 noise of a source at position_base [m] in the free field; microphones: other places than the head's, (C, 3)."""
    if microphones is None:
        microphones = head.microphones.base_from_array.apply(head.microphones.positions)
    delays = np.linalg.norm(microphones - position_base, axis=1) / speed_of_sound()
    return delayed_noise(count, delays, rng, sample_rate).astype(np.float32)


def three_clusters(count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """(count, 2) points of three well separated normal clusters, and the (count,) cluster of each."""
    label = rng.integers(0, 3, count)
    return np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])[label] + rng.normal(size=(count, 2)) * [0.8, 0.6], label


def places_around(count: int, rng, azimuth_deg: float, elevation_deg: float = 40.0, ranges=(0.2, 0.6)) -> np.ndarray:
    """(count, 3) places of a loudspeaker in front of the head, up to the given angles to all sides."""
    azimuth = np.radians(rng.uniform(-azimuth_deg, azimuth_deg, count))
    elevation = np.radians(rng.uniform(-elevation_deg, elevation_deg, count))
    return rng.uniform(*ranges, (count, 1)) * direction_from_angles(azimuth, elevation)
