"""Recorded sessions through the responses of a head, as calibration measures them."""

import numpy as np
from scipy.signal import fftconvolve
from av_perception.audio.propagation import array_response
from av_perception.geometry import direction_from_angles
from av_perception.heads import load_head


RATE = 16000


KEMAR = load_head('kemar').microphones


def impulse_responses(array, directions, rate, length=256):
    """(M, I, N) responses of the head's own geometry, 2 ms late."""
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    response = array_response(array, directions, np.maximum(frequencies, 1.0))
    late = np.exp(-2j * np.pi * frequencies * 0.002) * (frequencies < 0.45 * rate)
    return np.fft.irfft(response.transpose(0, 2, 1) * late, length, axis=2)


def session(array, angles_deg, rng, place_s=1.0, rate=RATE):
    """Continuous white noise from place after place: (samples, schedule)."""
    signal = 0.1 * rng.standard_normal(round(len(angles_deg) * place_s * rate))
    parts = np.split(signal, len(angles_deg))
    responses = impulse_responses(array, direction_from_angles(*np.radians(np.transpose(angles_deg))), rate)
    sound = [fftconvolve(part[:, None], response.T, axes=0)[:len(part)] for part, response in zip(parts, responses)]
    start = np.arange(len(angles_deg)) * place_s
    return np.concatenate(sound).astype(np.float32), np.column_stack([start, start + place_s, angles_deg])
