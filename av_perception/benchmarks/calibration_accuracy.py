# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well microphone positions can be found, on planted microphones and time differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.calibration.microphone_calibration import (
    Calibration,
    CalibrationConfig,
    Measurements,
    calibrate,
)
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.two_microphones.microphone_pair import speed_of_sound

NOISE_S = 15e-6  # standard deviation of a time difference
RATE_HZ = 50  # time differences a second
TARGET_M = 0.005
_PROFILE_SD_M = 0.02  # the profile is so far off as a whole ...
_SHAPE_SD_M = 0.0015  # ... and every microphone in it
_MOST_ELEVATION_DEG = 40
ARRAYS = {
    'pair, 12 cm': np.array([[0.0, 0.06, 0.0], [0.0, -0.06, 0.0]]),
    'square, 7 cm': np.array(
        [[0.035, 0.035, 0.0], [-0.035, 0.035, 0.0], [-0.035, -0.035, 0.0], [0.035, -0.035, 0.0]]
    ),
}


@dataclass(frozen=True)
class Protocol:
    """Where the loudspeaker is held."""

    #: least and largest distance [m]
    ranges: tuple[float, float]
    #: up to this azimuth to both sides [deg]
    azimuth_deg: float
    #: of sound at each place [s]
    seconds: float
    #: how many places
    places: int = 30


PROTOCOLS = (
    Protocol((0.2, 0.6), 35, 0.02),
    Protocol((0.2, 0.6), 35, 1.0),
    Protocol((0.2, 0.6), 60, 1.0),
    Protocol((0.2, 0.6), 90, 1.0),
    Protocol((0.2, 0.6), 35, 4.0),
    Protocol((0.5, 2.0), 35, 1.0),
    Protocol((0.5, 2.0), 60, 1.0),
)


@dataclass(frozen=True)
class CalibrationResult:
    """Figures of one array and protocol."""

    #: name of the array
    array: str
    #: where the loudspeaker was held
    protocol: Protocol
    #: position error of a microphone, RMS over seeds and microphones [mm]
    error_mm: float
    #: least error that any unbiased use of the data can reach (Cramer-Rao) [mm]
    bound_mm: float
    #: share in [0, 1] of the weakest direction that the measurements tell, not the profile
    weakest_share: float
    #: RMS error of predicted time differences 1 to 3 m ahead [us]
    itd_error_us: float


def measure(name: str, protocol: Protocol, seeds: int) -> CalibrationResult:
    """Calibrate one array again and again.

    Parameters
    ----------
    name
        One of ARRAYS.
    protocol
        Where the loudspeaker is held.
    seeds
        How many calibrations.

    Returns
    -------
    CalibrationResult
        Errors over all of them.
    """
    microphones = ARRAYS[name]
    # So that the mean of M positions is known to the profile's standard deviation.
    config = CalibrationConfig(position_sd=_PROFILE_SD_M * np.sqrt(len(microphones)))
    fits = [
        calibrate(*planted(microphones, protocol, np.random.default_rng(seed)), config)
        for seed in range(seeds)
    ]
    errors = np.array([np.linalg.norm(fit.positions - microphones, axis=1) for fit in fits])
    bound = np.mean([(fit.position_sd**2).sum(1) for fit in fits])
    itd_error = np.sqrt(np.mean([_itd_error(fit, microphones) ** 2 for fit in fits]))
    return CalibrationResult(
        array=name,
        protocol=protocol,
        error_mm=1e3 * float(np.sqrt(np.mean(errors**2))),
        bound_mm=1e3 * float(np.sqrt(bound)),
        weakest_share=float(np.mean([fit.data_share[0] for fit in fits])),
        itd_error_us=1e6 * float(itd_error),
    )


def planted(
    microphones: np.ndarray, protocol: Protocol, rng: np.random.Generator
) -> tuple[Measurements, np.ndarray]:
    """Make measurements of microphones.

    Parameters
    ----------
    microphones
        (M, 3) true positions [m].
    protocol
        Where the loudspeaker is held.
    rng
        Draws places, noise and the profile's errors.

    Returns
    -------
    measurements
        Time differences of all pairs.
    profile
        (M, 3) positions [m] of the profile, which are off.
    """
    limits = [[protocol.azimuth_deg], [min(_MOST_ELEVATION_DEG, protocol.azimuth_deg)]]
    azimuth, elevation = np.radians(rng.uniform(-1, 1, (2, protocol.places)) * limits)
    distance = rng.uniform(*protocol.ranges, (protocol.places, 1))
    sources = distance * direction_from_angles(azimuth, elevation)
    arrival = np.linalg.norm(sources[:, None] - microphones, axis=2) / speed_of_sound()
    # Each arrival has half of the variance, so that a difference has the noise.
    count = max(1, round(protocol.seconds * RATE_HZ))
    noise = rng.normal(0, NOISE_S / np.sqrt(2), (count, *arrival.shape))
    arrival = arrival + noise.mean(0)
    pairs = np.stack(np.triu_indices(len(microphones), 1), axis=1)
    itds = arrival[:, pairs[:, 0]] - arrival[:, pairs[:, 1]]
    offset = rng.normal(0, _PROFILE_SD_M, 3)
    profile = microphones + offset + rng.normal(0, _SHAPE_SD_M, microphones.shape)
    itd_sd = np.full(itds.shape, NOISE_S / np.sqrt(count))
    return Measurements(sources, pairs, itds, itd_sd), profile


def _itd_error(fit: Calibration, microphones: np.ndarray) -> float:
    """RMS error [s] of the first pair's differences for points 1 to 3 m ahead."""
    ahead = np.array(
        [[r, r * side, 0.1] for r in (1.0, 2.0, 3.0) for side in (-0.6, -0.2, 0.2, 0.6)]
    )
    error_m = _path_difference(ahead, fit.positions) - _path_difference(ahead, microphones)
    return float(np.sqrt(np.mean(error_m**2))) / speed_of_sound()


def _path_difference(points: np.ndarray, microphones: np.ndarray) -> np.ndarray:
    """(N,) [m] how much nearer points (N, 3) are to the second microphone than to the first."""
    first, second = np.linalg.norm(points[:, None] - microphones, axis=2).T[:2]
    return first - second
