# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learns the acoustic map of an array: from its geometry, or from transfer functions measured at known places."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple, dataclass, replace

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.propagation import array_response, geometric_model
from av_perception.audio.responses import MeasuredTransfer, densified
from av_perception.audio.sub_bands import subband_mean, subband_vectors
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import angles_from_direction, direction_from_angles
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import Gllim, GllimConfig, fit_gllim
from av_perception.paths import cache_directory
from av_perception.robot_head.profile import MicrophoneArray

_MIXTURE_ITERATIONS = 30
_FLAT = 1e-3  # of the array's extent
_EDGE_DEG = 0.1  # measured directions are rounded
_UNKNOWN = 1.0  # deviation of a feature that was never heard: larger than any feature


@dataclass(frozen=True)
class AcousticMapConfig:
    """num_pieces: R. Training directions: num_azimuths around the circle at num_elevations quantiles of a normal distribution
    (elevation_mean_deg, elevation_std_deg) cut to elevation_range_deg and azimuth_range_deg, in the head's base frame; None: see `ranges_deg`.

    feature_noise: standard deviation that reverberation and noise add to a feature, at 0 Hz, and its growth per kHz.
    thickness: standard deviation added to the pieces' extent, since unit vectors fill only a surface.
    ridge: pseudo-counts that hold slopes at 0. variance, equal_volume, latent_size: see `GllimConfig`.
    """

    num_pieces: int = 32
    num_azimuths: int = 120
    num_elevations: int = 15
    elevation_mean_deg: float = 5.0
    elevation_std_deg: float = 20.0
    elevation_range_deg: tuple[float, float] | None = None
    azimuth_range_deg: tuple[float, float] | None = None
    feature_noise: float = 0.25
    feature_noise_per_khz: float = 0.03
    thickness: float = 0.03
    ridge: float = 0.01
    iterations: int = 12
    variance: str = 'diagonal'
    equal_volume: bool = False
    latent_size: int = 0

    def __post_init__(self):
        most = self.num_azimuths * self.num_elevations // 10
        if not 1 <= self.num_pieces <= most:
            raise ValueError(
                f'num_pieces must lie in 1..{most}: every piece needs 10 training directions'
            )
        if (
            self.elevation_range_deg
            and not -90 <= self.elevation_range_deg[0] < self.elevation_range_deg[1] <= 90
        ):
            raise ValueError('elevation_range_deg must be increasing within -90..90')
        if (
            self.azimuth_range_deg
            and not -180 <= self.azimuth_range_deg[0] < self.azimuth_range_deg[1] <= 180
        ):
            raise ValueError('azimuth_range_deg must be increasing within -180..180')
        if (
            min(self.elevation_std_deg, self.feature_noise, self.thickness, self.ridge) <= 0
            or self.feature_noise_per_khz < 0
        ):
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

    def ranges_deg(
        self, array: MicrophoneArray
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """The ranges of azimuth and elevation. By default all around and -30..60; the front for microphones that hear front and back alike
        (on a line from left to right, or in an upright plane), and on a line -15..15, since it hardly tells high from low."""
        _, extent, axes = np.linalg.svd(array.positions - array.positions.mean(axis=0))
        line = extent[1] < _FLAT * extent[0]
        flat = not line and extent[2] < _FLAT * extent[0] and not array.sphere
        ahead = np.abs(array.base_from_array.rotate(axes))[:, 0]  # of the main axes
        front_only = ahead[0] < 0.7 if line else flat and ahead[2] > 0.7
        azimuth, elevation = (
            (-90.0, 90.0) if front_only else (-180.0, 180.0),
            (-15.0, 15.0) if line else (-30.0, 60.0),
        )
        return self.azimuth_range_deg or azimuth, self.elevation_range_deg or elevation


def training_directions(config: AcousticMapConfig, array: MicrophoneArray) -> np.ndarray:
    """(N, 3) unit vectors in the head's base frame: rings of elevation, each turned against its neighbour by the golden section."""
    from scipy.stats import truncnorm

    azimuth_range, elevation_range = config.ranges_deg(array)
    low, high = (
        (bound - config.elevation_mean_deg) / config.elevation_std_deg for bound in elevation_range
    )
    quantiles = (np.arange(config.num_elevations) + 0.5) / config.num_elevations
    elevation = np.radians(
        config.elevation_mean_deg + config.elevation_std_deg * truncnorm.ppf(quantiles, low, high)
    )
    turn = 0.6180339887 * np.arange(config.num_elevations)[:, None]
    share = (
        (np.arange(config.num_azimuths) + turn) / config.num_azimuths + 0.5
    ) % 1.0  # from straight ahead
    azimuth = np.radians(azimuth_range[0] + np.ptp(azimuth_range) * share)
    return direction_from_angles(azimuth, elevation[:, None]).reshape(-1, 3)


def geometric_features(
    array: MicrophoneArray, directions: np.ndarray, front_end: AudioFrontEndConfig, model: str = ''
) -> np.ndarray:
    """(N, K, G) noiseless features of plane waves from (N, 3) directions in the array frame."""
    response = array_response(array, directions, front_end.stft.frequencies, model)
    return subband_vectors(relative_transfer(response), front_end.subbands)


def learn_pieces(directions: np.ndarray, config: AcousticMapConfig) -> Pieces:
    """The mixture over the (N, 3) directions that all sub-bands share."""
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
    """The map through features (N, K, G) at unit vectors (N, 3) in the array frame; NaN: a feature that was nowhere heard. Deterministic.

    kind, source: what the map was learnt from, for its file.
    """
    pieces = learn_pieces(directions, config)
    frequency_khz = 1e-3 * subband_mean(front_end.stft.frequencies, front_end.subbands)
    noise = (config.feature_noise + config.feature_noise_per_khz * frequency_khz)[:, None]
    noise = np.where(np.isnan(features).any(axis=0), _UNKNOWN, noise)
    fitted = [
        fit_gllim(directions, values, config.regression, level, pieces)
        for values, level in zip(np.nan_to_num(features).swapaxes(0, 1), noise)
    ]
    return assemble_map(pieces, fitted, array, front_end, kind, source)


def assemble_map(
    pieces: Pieces,
    fitted: list[Gllim],
    array: MicrophoneArray,
    front_end: AudioFrontEndConfig,
    kind: str,
    source: str,
) -> AcousticMap:
    """One regression per sub-band over shared pieces, as a map."""
    shared = {
        'log_weight': pieces.log_weight,
        'center': pieces.center,
        'center_precision': pieces.precision,
        'center_log_det_precision': pieces.log_det_precision,
    }
    affine = {
        'slope': [f.slope for f in fitted],
        'offset': [f.offset for f in fitted],
        'variance': [f.marginal_variance for f in fitted],
    }
    return AcousticMap(
        **{name: np.repeat(value[None], len(fitted), axis=0) for name, value in shared.items()},
        **{name: np.stack(values) for name, values in affine.items()},
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


def geometric_examples(
    array: MicrophoneArray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
    model: str = '',
) -> tuple[np.ndarray, np.ndarray]:
    """Directions (N, 3) in the array frame and features (N, K, G) from the geometry. model: see `array_response`.

    Raises UserError for one microphone.
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
    """The same from measured transfer functions, for directions between them: the map's `covers` knows no others. Raises UserError."""
    angles = np.degrees(angles_from_direction(array.base_from_array.rotate(measured.directions)))
    ranges = config.ranges_deg(array)
    inside = np.logical_and.reduce(
        [
            (low - _EDGE_DEG < angle) & (angle < high + _EDGE_DEG)
            for angle, (low, high) in zip(angles, ranges)
        ]
    )
    count = int(inside.sum())
    if count < 4:
        raise UserError(
            f'{count} of {len(inside)} measured directions lie within azimuth {ranges[0]} and elevation {ranges[1]}: 4 are needed'
        )
    inside = MeasuredTransfer(measured.directions[inside], measured.transfer[inside])
    dense = densified(
        inside, array, front_end.stft.frequencies, config.num_azimuths * config.num_elevations
    )
    if len(dense.directions) < 10 * config.num_pieces:
        raise UserError(
            f'{count} measured directions are too few or too far apart for {config.num_pieces} pieces'
        )
    return dense.directions, subband_vectors(dense.transfer, front_end.subbands)


def learn_geometric_map(
    array: MicrophoneArray,
    config: AcousticMapConfig,
    front_end: AudioFrontEndConfig,
    model: str = '',
) -> AcousticMap:
    """The map of an array from its geometry alone, a few seconds. Raises UserError for one microphone."""
    examples = geometric_examples(array, config, front_end, model)
    return learn_map(
        array, *examples, config, front_end, model or geometric_model(array), 'geometry'
    )


def head_map(
    array: MicrophoneArray, config: AcousticMapConfig, front_end: AudioFrontEndConfig
) -> AcousticMap:
    """The map of a head: the file that its profile names, else learnt from the geometry and kept in the cache folder.

    Raises UserError for a file that is absent, spoilt or another head's; a spoilt file of the cache is learnt anew.
    """
    if array.acoustic_map:
        return checked_map(array.acoustic_map, array, front_end)
    key = repr(
        (
            replace(array, frame='', sample_rate=16000, position=(0.0, 0.0, 0.0)),
            astuple(config),
            astuple(front_end.stft),
            astuple(front_end.transfer),
            astuple(front_end.subbands),
        )
    )
    path = cache_directory() / f'acoustic_map_{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz'
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


def checked_map(path, array: MicrophoneArray, front_end: AudioFrontEndConfig) -> AcousticMap:
    """A map from a file that belongs to this array and front end. Raises UserError."""
    acoustic_map = AcousticMap.load(path)
    acoustic_map.check(array, front_end)
    return acoustic_map
