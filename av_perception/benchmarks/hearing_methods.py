# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Methods that tell directions of sources in a sound, alike in use: this project's and those of pyroomacoustics."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEnd, extract_features
from av_perception.audio.localization import ANALYSIS, LocalizationConfig, localize, map_config
from av_perception.audio.map_learning import head_map
from av_perception.benchmarks.hearing_trials import RATE
from av_perception.errors import UserError
from av_perception.robot_head import HeadProfile

OURS = 'DP-RTF + map'
PEERS = ('SRP-PHAT', 'MUSIC', 'NormMUSIC')
_MOST_SOURCES = 4  # what this project's method may find; the others are told the true number
_STFT, _HOP, _BAND_HZ = 512, 256, (500, 4000)
_OFF_GRID_DEG = 0.05  # ears that hear exactly alike make the spectrum of MUSIC infinite straight ahead, where the library finds no peak
_PEER_NAMES = {'SRP-PHAT': 'SRP', 'MUSIC': 'MUSIC', 'NormMUSIC': 'NormMUSIC'}


def free_field(head: HeadProfile) -> HeadProfile:
    """The head without its shadow, as the simulated rooms have it."""
    return replace(head, microphones=replace(head.microphones, sphere=None))


def by_map(
    sound: np.ndarray, head: HeadProfile, num_sources: int, acoustic_map: AcousticMap | None = None
) -> np.ndarray:
    """Azimuths [deg, base frame] by VESSL; it finds the number of sources itself (num_sources is not used)."""
    del num_sources
    array = head.microphones
    front_end = AudioFrontEnd(ANALYSIS, sound.shape[1], RATE)
    features = extract_features(
        front_end, lambda start, count: sound[start : start + count], len(sound), RATE
    )
    try:
        found = localize(
            features,
            acoustic_map or _map(head),
            LocalizationConfig(max_sources=_MOST_SOURCES),
            array.base_from_array,
        )
    except UserError:
        return np.zeros(0)
    return np.degrees([source.azimuth for source in found.sources])


@lru_cache(maxsize=8)
def _map(head: HeadProfile) -> AcousticMap:
    return head_map(head.microphones, map_config(head.microphones), ANALYSIS)


def by_peer(method: str, sound: np.ndarray, head: HeadProfile, num_sources: int) -> np.ndarray:
    """Azimuths [deg] by a method of pyroomacoustics on the horizon, with the number of sources given; two ears: the front."""
    import pyroomacoustics

    analysis = pyroomacoustics.transform.stft.analysis(
        sound, _STFT, _HOP, win=pyroomacoustics.hann(_STFT)
    ).transpose(2, 1, 0)
    azimuth = np.radians(
        _OFF_GRID_DEG
        + (np.arange(-90.0, 91.0) if sound.shape[1] == 2 else np.arange(-180.0, 180.0))
    )
    finder = pyroomacoustics.doa.algorithms[_PEER_NAMES[method]](
        head.microphones.positions.T, RATE, _STFT, c=343.0, num_src=num_sources, azimuth=azimuth
    )
    finder.locate_sources(analysis, freq_range=list(_BAND_HZ))
    return np.degrees(np.atleast_1d(finder.azimuth_recon))
