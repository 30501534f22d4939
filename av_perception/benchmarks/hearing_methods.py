# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Methods that find the directions of sources: this project's and those of pyroomacoustics."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEnd, extract_features
from av_perception.audio.localization import ANALYSIS, LocalizationConfig, localize, map_config
from av_perception.audio.map_learning import head_map
from av_perception.benchmarks.hearing_trials import RATE
from av_perception.benchmarks.sensors import microphones_of
from av_perception.errors import UserError
from av_perception.robot_head import HeadProfile

OURS = 'DP-RTF + map'
PEERS = ('SRP-PHAT', 'MUSIC', 'NormMUSIC')
_MOST_SOURCES = 4  # what this project's method may find; the others are told the true number
_STFT = 512
_HOP = 256
_BAND_HZ = (500, 4000)
_SOUND_SPEED = 343.0  # [m/s]
# Ears that hear exactly alike make the spectrum of MUSIC infinite straight ahead, where the
# library finds no peak; its grid is therefore turned a little.
_OFF_GRID_DEG = 0.05
_PEER_NAMES = {'SRP-PHAT': 'SRP', 'MUSIC': 'MUSIC', 'NormMUSIC': 'NormMUSIC'}


def free_field(head: HeadProfile) -> HeadProfile:
    """Leave out the head's shadow, as the simulated rooms do."""
    return replace(head, microphones=replace(microphones_of(head), sphere=None))


def by_map(
    sound: np.ndarray, head: HeadProfile, num_sources: int, acoustic_map: AcousticMap | None = None
) -> np.ndarray:
    """Localize by VESSL, which finds the number of sources itself.

    Parameters
    ----------
    sound
        (samples, channels) at RATE.
    head
        The head that heard it.
    num_sources
        Not used; here so that all methods are called alike.
    acoustic_map
        Of the head; by default learned from its geometry.

    Returns
    -------
    np.ndarray
        (sources,) azimuths [deg] in the base frame.
    """
    del num_sources
    front_end = AudioFrontEnd(ANALYSIS, sound.shape[1], RATE)
    features = extract_features(
        front_end, lambda start, count: sound[start : start + count], len(sound), RATE
    )
    try:
        result = localize(
            features,
            acoustic_map or _map(head),
            LocalizationConfig(max_sources=_MOST_SOURCES),
            microphones_of(head).base_from_array,
        )
    except UserError:
        return np.zeros(0)
    return np.degrees([source.azimuth for source in result.sources])


@lru_cache(maxsize=8)
def _map(head: HeadProfile) -> AcousticMap:
    array = microphones_of(head)
    return head_map(array, map_config(array), ANALYSIS)


def by_peer(method: str, sound: np.ndarray, head: HeadProfile, num_sources: int) -> np.ndarray:
    """Localize by a method of pyroomacoustics on the horizon; with two ears, in front.

    Parameters
    ----------
    method
        One of PEERS.
    sound
        (samples, channels) at RATE.
    head
        The head that heard it.
    num_sources
        The true number.

    Returns
    -------
    np.ndarray
        (sources,) azimuths [deg].
    """
    import pyroomacoustics

    window = pyroomacoustics.hann(_STFT)
    analysis = pyroomacoustics.transform.stft.analysis(sound, _STFT, _HOP, win=window)
    two_ears = sound.shape[1] == 2
    grid_deg = np.arange(-90.0, 91.0) if two_ears else np.arange(-180.0, 180.0)
    finder = pyroomacoustics.doa.algorithms[_PEER_NAMES[method]](
        microphones_of(head).positions.T,
        RATE,
        _STFT,
        c=_SOUND_SPEED,
        num_src=num_sources,
        azimuth=np.radians(_OFF_GRID_DEG + grid_deg),
    )
    # The library wants (channels, bins, frames).
    finder.locate_sources(analysis.transpose(2, 1, 0), freq_range=list(_BAND_HZ))
    return np.degrees(np.atleast_1d(finder.azimuth_recon))
