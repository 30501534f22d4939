# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What in a recording makes directions doubtful, in words.

Faults of channels, sound that is too quiet or lacks high frequencies, sound that fits no
direction.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import welch

from av_perception.audio.channel_faults import channel_faults
from av_perception.audio.localization import Localization
from av_perception.audio.quiet_sound import quiet_sentence, window_levels
from av_perception.robot_head.profile import MicrophoneArray

# Recordings of one to three sources in rooms reach 0.9, channels in another order 0.63 at most.
LEAST_FIT = 0.65
_QUIETEST = 1e-4  # peak; below it there is nothing but the converter's noise
_BAND_DB = 50.0
_FULL_BAND_HZ = 5000.0


def sound_problems(
    samples: np.ndarray, sample_rate: int, microphones: MicrophoneArray
) -> list[str]:
    """Find what is wrong with a recording by itself.

    Parameters
    ----------
    samples
        (N, microphones) in [-1, 1].
    sample_rate
        [Hz].
    microphones
        Of the head; they name the channels.

    Returns
    -------
    list
        Problems, one line each.
    """
    finite = np.nan_to_num(np.asarray(samples, float), posinf=0.0, neginf=0.0)
    if not finite.size or np.abs(finite).max() < _QUIETEST:
        return [
            'the recording is silent: check the gain and whether the right device was recorded'
        ]
    problems = [
        f'{microphones.channel_name(channel)} {fault.text}'
        for channel, fault in sorted(channel_faults(samples).items())
    ]
    quiet = quiet_sentence(window_levels(finite, sample_rate))
    problems += [quiet] if quiet else []
    highest_hz = _highest_frequency(finite, sample_rate)
    if highest_hz < _FULL_BAND_HZ:
        problems.append(
            f'there is no sound above {highest_hz / 1000:.1f} kHz, as from a telephone or an '
            '8 kHz device: directions are coarser'
        )
    return problems


def doubtful_fit(found: Localization) -> list[str]:
    """One problem when little of the sound comes from the directions found, or none was."""
    if found.fit >= LEAST_FIT:
        return []
    what = 'no direction stands out'
    if found.sources:
        what = f'only {found.fit:.0%} of the sound fits the directions'
    return [
        f'{what}: strong reverberation, noise from everywhere, or the channels are not in the '
        'order of the head profile; check with '
        'av-perception doctor --head HEAD --sound FILE --azimuth DEG'
    ]


def _highest_frequency(samples: np.ndarray, sample_rate: int) -> float:
    """Where the long-term spectrum of the loudest channel falls _BAND_DB below its peak [Hz]."""
    loudest = samples[:, samples.std(axis=0).argmax()]
    frequency, power = welch(
        loudest - loudest.mean(), sample_rate, nperseg=min(1024, len(loudest))
    )
    return float(frequency[power > 10 ** (-0.1 * _BAND_DB) * power.max()].max(initial=0.0))
