"""Sounds from known directions through the response of a head."""

import numpy as np
from av_perception.audio.channel_check import KnownSound
from av_perception.audio.propagation import array_response
from av_perception.geometry import direction_from_angles


RATE = 16000


def heard(array, azimuth_deg, rng, seconds=1.5, signal=None):
    """A signal, or bursts of noise, from a direction through the head's own response, with a little noise of the microphones."""
    if signal is None:
        signal = rng.standard_normal(round(seconds * RATE)) * (rng.random(round(seconds * 20)) < 0.5).repeat(RATE // 20)
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    direction = array.base_from_array.inverse().rotate(direction_from_angles(np.radians(azimuth_deg), 0.0))
    response = array_response(array, direction[None], np.maximum(frequencies, 1.0))[0]
    sound = np.fft.irfft(np.fft.rfft(signal)[:, None] * response, len(signal), axis=0)
    return KnownSound(0.1 * sound + 0.001 * rng.standard_normal(sound.shape), RATE, np.radians(azimuth_deg))
