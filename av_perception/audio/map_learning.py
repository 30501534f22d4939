# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learns the acoustic map of an array: from its geometry, or from measured transfer functions."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.propagation import geometric_model
from av_perception.audio.sub_bands import subband_mean
from av_perception.audio.training_examples import AcousticMapConfig, geometric_examples
from av_perception.errors import UserError
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import Gllim, fit_gllim
from av_perception.paths import cache_directory
from av_perception.robot_head.profile import MicrophoneArray

_UNKNOWN = 1.0  # standard deviation of a feature that was never heard: larger than any feature


def learn_pieces(directions: np.ndarray, config: AcousticMapConfig) -> Pieces:
    """Fit the mixture over the (N, 3) directions that all sub-bands share."""
    return fit_gllim(directions, np.zeros((len(directions), 0)), config.mixture).pieces


def learn_map(
    array: MicrophoneArray,
    directions: np.ndarray,
    features: np.ndarray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
    kind: str,
    source: str,
) -> AcousticMap:
    """Learn a map through features of known directions; deterministic.

    Parameters
    ----------
    array
        The microphones.
    directions
        (N, 3) unit vectors in the array frame.
    features
        (N, K, G); NaN: a feature that was nowhere heard.
    config
        How it is learnt.
    front_end
        The analysis.
    kind, source
        What the map was learnt from, for its file.

    Returns
    -------
    AcousticMap
        All sub-bands share their pieces.
    """
    pieces = learn_pieces(directions, config)
    noise = _feature_noise(features, config, front_end)
    log_joint = pieces.log_joint(directions)  # the same in every sub-band
    fitted = [
        fit_gllim(directions, values, config.regression, level, pieces, log_joint)
        for values, level in zip(np.nan_to_num(features).swapaxes(0, 1), noise)
    ]
    return assemble_map(pieces, fitted, array, front_end, kind, source)


def _feature_noise(
    features: np.ndarray, config: AcousticMapConfig, front_end: AudioFrontEndConfig
) -> np.ndarray:
    """(K, G) standard deviation of each feature; large where it was nowhere heard."""
    frequency_khz = 1e-3 * subband_mean(front_end.stft.frequencies, front_end.subbands)
    noise = (config.feature_noise + config.feature_noise_per_khz * frequency_khz)[:, None]
    return np.where(np.isnan(features).any(axis=0), _UNKNOWN, noise)


def _shared(pieces: Pieces, num_subbands: int) -> dict[str, Any]:
    """Fields of a map whose sub-bands all have the same pieces."""
    fields = {
        'log_weight': pieces.log_weight,
        'center': pieces.center,
        'center_precision': pieces.precision,
        'center_log_det_precision': pieces.log_det_precision,
    }
    return {name: np.repeat(value[None], num_subbands, axis=0) for name, value in fields.items()}


def assemble_map(
    pieces: Pieces,
    fitted: list[Gllim],
    array: MicrophoneArray,
    front_end: AudioFrontEndConfig,
    kind: str,
    source: str,
) -> AcousticMap:
    """Put regressions over shared pieces together to a map.

    Parameters
    ----------
    pieces
        R of them.
    fitted
        One regression per sub-band.
    array, front_end, kind, source
        As of `learn_map`.

    Returns
    -------
    AcousticMap
        The map.
    """
    return AcousticMap(
        **_shared(pieces, len(fitted)),
        slope=np.stack([f.slope for f in fitted]),
        offset=np.stack([f.offset for f in fitted]),
        variance=np.stack([f.marginal_variance for f in fitted]),
        log_range=np.full(fitted[0].offset.shape[1], np.log(2.0)),
        sample_rate=front_end.stft.sample_rate,
        window=front_end.stft.window,
        hop=front_end.stft.hop,
        num_taps=front_end.transfer.num_taps,
        subband_width=front_end.subbands.width,
        num_microphones=len(array.coordinates),
        geometry_hash=array.geometry_hash,
        kind=kind,
        source=source,
    )


def learn_geometric_map(
    array: MicrophoneArray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
    model: str = '',
) -> AcousticMap:
    """Learn the map of an array from its geometry alone, in a few seconds.

    Parameters and Raises as of `geometric_examples`.
    """
    examples = geometric_examples(array, config, front_end, model)
    kind = model or geometric_model(array)
    return learn_map(array, *examples, config, front_end, kind, 'geometry')


def head_map(
    array: MicrophoneArray, config: AcousticMapConfig, front_end: AudioFrontEndConfig
) -> AcousticMap:
    """Find the map of a head.

    It is the file that the profile names, else learnt from the geometry and kept in the cache
    folder; a spoilt file of the cache is learnt anew.

    Parameters
    ----------
    array
        The microphones of the head.
    config
        How a map is learnt.
    front_end
        The analysis.

    Returns
    -------
    AcousticMap
        One that fits array and analysis.

    Raises
    ------
    UserError
        When the profile's file is absent, spoilt or another head's.
    """
    if array.acoustic_map:
        return checked_map(array.acoustic_map, array, front_end)
    path = _cached_path(array, config, front_end)
    if path.is_file():
        try:
            return checked_map(path, array, front_end)
        except UserError:
            path.unlink(missing_ok=True)
    acoustic_map = learn_geometric_map(array, config, front_end)
    partial = path.with_suffix(f'.{os.getpid()}.part')  # several nodes may learn at once
    acoustic_map.save(partial)
    partial.replace(path)
    return acoustic_map


def _cached_path(
    array: MicrophoneArray, config: AcousticMapConfig, front_end: AudioFrontEndConfig
) -> Path:
    """File of the cache for all that a map depends on: not on where the head has the array."""
    origin = (0.0, 0.0, 0.0)
    key = repr(
        (
            replace(
                array, frame='', sample_rate=16000, position=origin, orientation_rpy_deg=origin
            ),
            astuple(config),
            astuple(front_end.stft),
            astuple(front_end.transfer),
            astuple(front_end.subbands),
        )
    )
    return cache_directory() / f'acoustic_map_{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz'


def checked_map(
    path: Path | str, array: MicrophoneArray, front_end: AudioFrontEndConfig
) -> AcousticMap:
    """Read a map that must belong to this array and front end.

    Raises
    ------
    UserError
        When it cannot be read or does not belong to them.
    """
    acoustic_map = AcousticMap.load(Path(path))
    acoustic_map.check(array, front_end)
    return acoustic_map
