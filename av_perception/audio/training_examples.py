# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What an acoustic map is learnt from: directions and the features of sound from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.hearing_limits import axes_in_base, is_on_a_line, is_on_a_plane
from av_perception.audio.propagation import array_response
from av_perception.audio.responses import MeasuredTransfer, densified
from av_perception.audio.sub_bands import subband_vectors
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import angles_from_direction, direction_from_angles
from av_perception.numerics.gllim import GllimConfig
from av_perception.robot_head.profile import MicrophoneArray

_MIXTURE_ITERATIONS = 30
_EDGE_DEG = 0.1  # measured directions are rounded
_GOLDEN_SECTION = 0.6180339887

Range = tuple[float, float]


@dataclass(frozen=True)
class AcousticMapConfig:
    """How a map is learnt.

    The training directions lie around the circle at quantiles of a normal distribution of
    elevation, cut to ranges in the head's base frame.
    """

    #: R, pieces of the map; every piece needs 10 training directions.
    num_pieces: int = 32
    #: Training directions around the circle.
    num_azimuths: int = 120
    #: Circles of training directions, one per quantile of elevation.
    num_elevations: int = 15
    #: Mean of the distribution of elevation [deg].
    elevation_mean_deg: float = 5.0
    #: Standard deviation of the distribution of elevation [deg].
    elevation_std_deg: float = 20.0
    #: Least and largest elevation [deg]; None: see `ranges_deg`.
    elevation_range_deg: tuple[float, float] | None = None
    #: Least and largest azimuth [deg]; None: see `ranges_deg`.
    azimuth_range_deg: tuple[float, float] | None = None
    #: Standard deviation that reverberation and noise add to a feature, at 0 Hz.
    feature_noise: float = 0.25
    #: Its growth [1/kHz].
    feature_noise_per_khz: float = 0.03
    #: Standard deviation added to the pieces' extent, since unit vectors fill only a surface.
    thickness: float = 0.03
    #: Pseudo-counts that hold slopes at 0.
    ridge: float = 0.01
    #: Of the EM of a sub-band.
    iterations: int = 12
    #: 'diagonal', 'isotropic' or 'tied', see `GllimConfig`.
    variance: str = 'diagonal'
    #: Constraint on the pieces, see `GllimConfig`.
    equal_volume: bool = False
    #: Components of what varies besides direction, see `GllimConfig`.
    latent_size: int = 0

    def __post_init__(self):
        most = self.num_azimuths * self.num_elevations // 10
        if not 1 <= self.num_pieces <= most:
            raise ValueError(
                f'num_pieces must lie in 1..{most}: every piece needs 10 training directions'
            )
        if not _rises_within(self.elevation_range_deg, 90):
            raise ValueError('elevation_range_deg must be increasing within -90..90')
        if not _rises_within(self.azimuth_range_deg, 180):
            raise ValueError('azimuth_range_deg must be increasing within -180..180')
        positive = (self.elevation_std_deg, self.feature_noise, self.thickness, self.ridge)
        if min(positive) <= 0 or self.feature_noise_per_khz < 0:
            raise ValueError(
                'elevation_std_deg, feature_noise, thickness and ridge must be positive'
            )
        _ = self.regression  # checks what it passes on

    @property
    def mixture(self) -> GllimConfig:
        """How the pieces are learnt."""
        return GllimConfig(
            self.num_pieces,
            equal_volume=self.equal_volume,
            input_noise=self.thickness,
            iterations=_MIXTURE_ITERATIONS,
            tolerance=0.0,
        )

    @property
    def regression(self) -> GllimConfig:
        """How a sub-band is learnt on the pieces."""
        return GllimConfig(
            self.num_pieces,
            self.variance,
            latent_size=self.latent_size,
            ridge=self.ridge,
            iterations=self.iterations,
            tolerance=0.0,
        )

    def ranges_deg(self, array: MicrophoneArray) -> tuple[Range, Range]:
        """Choose the ranges of azimuth and elevation for an array.

        By default all around and -30..60; the front for microphones that hear front and back alike
        (on a line from left to right, or in an upright plane), and on a line -15..15, since it
        hardly tells high from low.

        Parameters
        ----------
        array
            The microphones.

        Returns
        -------
        azimuth, elevation
            Least and largest [deg], in the head's base frame.
        """
        is_line = is_on_a_line(array)
        is_plane = is_on_a_plane(array)
        ahead = np.abs(axes_in_base(array))[:, 0]  # of the main axes
        azimuth: Range = (-180.0, 180.0)
        elevation: Range = (-30.0, 60.0)
        if is_line:
            elevation = (-15.0, 15.0)
        if (is_line and ahead[0] < 0.7) or (is_plane and ahead[2] > 0.7):
            azimuth = (-90.0, 90.0)
        return self.azimuth_range_deg or azimuth, self.elevation_range_deg or elevation


def _rises_within(bounds: Range | None, limit: float) -> bool:
    return not bounds or -limit <= bounds[0] < bounds[1] <= limit


def training_directions(config: AcousticMapConfig, array: MicrophoneArray) -> np.ndarray:
    """Place rings of elevation, each turned against its neighbor by the golden section.

    Parameters
    ----------
    config
        How many, and where.
    array
        The microphones, for the default ranges.

    Returns
    -------
    np.ndarray
        (num_azimuths num_elevations, 3) unit vectors in the head's base frame.
    """
    from scipy.stats import truncnorm

    azimuth_range, elevation_range = config.ranges_deg(array)
    mean = config.elevation_mean_deg
    std = config.elevation_std_deg
    low, high = ((bound - mean) / std for bound in elevation_range)
    quantiles = (np.arange(config.num_elevations) + 0.5) / config.num_elevations
    elevation = np.radians(mean + std * truncnorm.ppf(quantiles, low, high))
    turn = _GOLDEN_SECTION * np.arange(config.num_elevations)[:, None]
    share = (np.arange(config.num_azimuths) + turn) / config.num_azimuths
    share = (share + 0.5) % 1.0  # from straight ahead
    azimuth = np.radians(azimuth_range[0] + np.ptp(azimuth_range) * share)
    return direction_from_angles(azimuth, elevation[:, None]).reshape(-1, 3)


def geometric_features(
    array: MicrophoneArray, directions: np.ndarray, front_end: AudioFrontEndConfig, model: str = ''
) -> np.ndarray:
    """Noiseless features of plane waves.

    Parameters
    ----------
    array
        The microphones.
    directions
        (N, 3) unit vectors in the array frame.
    front_end
        The analysis.
    model
        See `array_response`.

    Returns
    -------
    np.ndarray
        (N, K, G).
    """
    response = array_response(array, directions, front_end.stft.frequencies, model)
    return subband_vectors(relative_transfer(response), front_end.subbands)


def geometric_examples(
    array: MicrophoneArray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
    model: str = '',
) -> tuple[np.ndarray, np.ndarray]:
    """Training examples from the geometry.

    Parameters
    ----------
    array
        The microphones.
    config
        Where the directions lie.
    front_end
        The analysis.
    model
        See `array_response`.

    Returns
    -------
    directions
        (N, 3) unit vectors in the array frame.
    features
        (N, K, G).

    Raises
    ------
    UserError
        When there is but one microphone.
    """
    if len(array.coordinates) < 2:
        raise UserError('an acoustic map needs at least 2 microphones: this head has one')
    directions = array.base_from_array.inverse().rotate(training_directions(config, array))
    return directions, geometric_features(array, directions, front_end, model)


def measured_examples(
    array: MicrophoneArray,
    measured: MeasuredTransfer,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Training examples from measured transfer functions.

    Parameters
    ----------
    array
        The microphones.
    measured
        At known directions.
    config
        Ranges of the directions, and how many are interpolated.
    front_end
        The analysis.

    Returns
    -------
    directions
        (N, 3) unit vectors between those measured: the map's `covers` knows no others.
    features
        (N, K, G).

    Raises
    ------
    UserError
        When too few directions were measured within the ranges.
    """
    inside = _within_ranges(array, measured, config)
    num_wanted = config.num_azimuths * config.num_elevations
    dense = densified(inside, array, front_end.stft.frequencies, num_wanted)
    if len(dense.directions) < 10 * config.num_pieces:
        raise UserError(
            f'{len(inside.directions)} measured directions are too few or too far apart for '
            f'{config.num_pieces} pieces'
        )
    return dense.directions, subband_vectors(dense.transfer, front_end.subbands)


def _within_ranges(
    array: MicrophoneArray, measured: MeasuredTransfer, config: AcousticMapConfig
) -> MeasuredTransfer:
    """Select what was measured within the map's ranges. Raises UserError when it is too little."""
    angles = np.degrees(angles_from_direction(array.base_from_array.rotate(measured.directions)))
    ranges = config.ranges_deg(array)
    is_inside = np.ones(len(measured.directions), bool)
    for angle, (low, high) in zip(angles, ranges):
        is_inside &= (low - _EDGE_DEG < angle) & (angle < high + _EDGE_DEG)
    count = int(is_inside.sum())
    if count < 4:
        raise UserError(
            f'{count} of {len(is_inside)} measured directions lie within azimuth {ranges[0]} and '
            f'elevation {ranges[1]}: 4 are needed'
        )
    return MeasuredTransfer(measured.directions[is_inside], measured.transfer[is_inside])
