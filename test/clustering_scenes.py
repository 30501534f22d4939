"""What the tests of the clustering package share: a pair of microphones, planted sounds and mixtures."""

from __future__ import annotations

import numpy as np
from tracking_scenes import HEAD

from av_perception.clustering.microphone_pair import MicrophonePair, frontal_pair

CHANNELS = frontal_pair(HEAD.microphones)
PAIR = MicrophonePair.of_array(HEAD.microphones, CHANNELS)
BAND = (300.0, 7000.0)


def delayed_noise(count: int, delays_s, rng, sample_rate: int = 16000) -> np.ndarray:
    """(count, len(delays)) white noise that reaches channel c delays_s[c] later than channel 0 would without, by exact phase shifts."""
    spectrum = np.fft.rfft(rng.normal(0, 0.1, count))
    omega = 2 * np.pi * np.fft.rfftfreq(count, 1 / sample_rate)
    return np.stack([np.fft.irfft(spectrum * np.exp(-1j * omega * delay), count) for delay in delays_s], axis=1)


def sound_at(position_base, count: int, rng, head=HEAD, sound_speed: float = 343.42) -> np.ndarray:
    """(count, channels) float32 noise of a source at position_base [m] in the free field."""
    microphones = head.microphones.base_from_array.apply(head.microphones.positions)
    return delayed_noise(count, np.linalg.norm(microphones - position_base, axis=1) / sound_speed, rng).astype(np.float32)


def three_clusters(count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """(count, 2) points of three well separated normal clusters, and the (count,) cluster of each."""
    label = rng.integers(0, 3, count)
    return np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])[label] + rng.normal(size=(count, 2)) * [0.8, 0.6], label
