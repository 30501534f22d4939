"""Learns the acoustic map of an array from its geometry: a Gaussian mixture over directions, then affine pieces by closed-form EM."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple, dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.frontend import AudioFrontEndConfig
from av_perception.audio.subbands import subband_mean, subband_vectors
from av_perception.errors import UserError
from av_perception.geometry import direction_from_angles
from av_perception.heads.profile import MicrophoneArray
from av_perception.paths import cache_directory

_SPEED_OF_SOUND = 343.0
_LOG_TWO_PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class AcousticMapConfig:
    """num_pieces: R. Training directions: num_azimuths around the circle at num_elevations quantiles of a normal distribution
    (elevation_mean_deg, elevation_std_deg) cut to elevation_range_deg.

    feature_noise: standard deviation that reverberation and noise add to a feature, at 0 Hz, and its growth per kHz.
    thickness: standard deviation added to the pieces' extent, since unit vectors fill only a surface.
    ridge: pseudo-counts that hold slopes at 0.
    """

    num_pieces: int = 32
    num_azimuths: int = 120
    num_elevations: int = 15
    elevation_mean_deg: float = 5.0
    elevation_std_deg: float = 20.0
    elevation_range_deg: tuple[float, float] = (-30.0, 60.0)
    feature_noise: float = 0.25
    feature_noise_per_khz: float = 0.03
    thickness: float = 0.03
    ridge: float = 0.01
    iterations: int = 12

    def __post_init__(self):
        most = self.num_azimuths * self.num_elevations // 10
        if not 1 <= self.num_pieces <= most:
            raise ValueError(f'num_pieces must lie in 1..{most}: every piece needs 10 training directions')
        if not -90 <= self.elevation_range_deg[0] < self.elevation_range_deg[1] <= 90:
            raise ValueError('elevation_range_deg must be increasing within -90..90')
        if min(self.elevation_std_deg, self.feature_noise, self.thickness, self.ridge) <= 0 or self.feature_noise_per_khz < 0:
            raise ValueError('elevation_std_deg, feature_noise, thickness and ridge must be positive')
        if self.iterations < 1:
            raise ValueError('iterations must be at least 1')


@dataclass(frozen=True)
class Pieces:
    """A Gaussian mixture over directions: log_weight (R,), center (R, 3), precision (R, 3, 3), log_det_precision (R,)."""

    log_weight: np.ndarray
    center: np.ndarray
    precision: np.ndarray
    log_det_precision: np.ndarray

    def log_joint(self, directions: np.ndarray) -> np.ndarray:
        """log pi_r + log N(u; nu_r, Om_r): (N, 3) -> (N, R)."""
        difference = directions[:, None] - self.center
        mahalanobis = np.einsum('nri,rij,nrj->nr', difference, self.precision, difference, optimize=True)
        return self.log_weight + 0.5 * (self.log_det_precision - 3 * _LOG_TWO_PI - mahalanobis)


@dataclass(frozen=True)
class AffinePieces:
    """slope (R, G, 3), offset (R, G), variance (R, G) of one sub-band; objective: the penalised log-likelihood after every iteration."""

    slope: np.ndarray
    offset: np.ndarray
    variance: np.ndarray
    objective: tuple[float, ...]


def training_directions(config: AcousticMapConfig) -> np.ndarray:
    """(N, 3) unit vectors: rings of elevation, each turned against its neighbour by the golden section."""
    from scipy.stats import truncnorm
    low, high = ((bound - config.elevation_mean_deg) / config.elevation_std_deg for bound in config.elevation_range_deg)
    quantiles = (np.arange(config.num_elevations) + 0.5) / config.num_elevations
    elevation = np.radians(config.elevation_mean_deg + config.elevation_std_deg * truncnorm.ppf(quantiles, low, high))
    turn = 0.6180339887 * np.arange(config.num_elevations)[:, None]
    azimuth = 2 * np.pi * (np.arange(config.num_azimuths) + turn) / config.num_azimuths
    return direction_from_angles(azimuth, elevation[:, None]).reshape(-1, 3)


def free_field_features(array: MicrophoneArray, directions: np.ndarray, front_end: AudioFrontEndConfig) -> np.ndarray:
    """(N, K, G) noiseless features of plane waves from (N, 3) directions: a_i(f) = exp(j 2 pi f m_i . u / c), normalised."""
    delays = -directions @ array.positions.T / _SPEED_OF_SOUND
    steering = np.exp(-2j * np.pi * front_end.stft.frequencies[:, None] * delays[:, None])
    return subband_vectors(relative_transfer(steering), front_end.subbands)


def learn_pieces(directions: np.ndarray, num_pieces: int, thickness: float, iterations: int = 30) -> Pieces:
    """EM for a Gaussian mixture over the (N, 3) directions, started by k-means; covariances get `thickness`^2 on the diagonal."""
    posterior = np.eye(num_pieces)[_kmeans(directions, num_pieces)]
    for _ in range(iterations):
        mass = posterior.sum(axis=0) + 1e-9
        center = posterior.T @ directions / mass[:, None]
        difference = directions[:, None] - center
        scatter = np.einsum('nr,nri,nrj->rij', posterior, difference, difference, optimize=True) / mass[:, None, None]
        precision = np.linalg.inv(scatter + thickness ** 2 * np.eye(3))
        precision = 0.5 * (precision + precision.swapaxes(1, 2))
        pieces = Pieces(np.log(mass / mass.sum()), center, precision, np.linalg.slogdet(precision)[1])
        posterior, _ = _normalised(pieces.log_joint(directions))
    return pieces


def _kmeans(points: np.ndarray, count: int, iterations: int = 20) -> np.ndarray:
    """(N,) index of the nearest of `count` centres, started from the farthest-point traversal: deterministic."""
    chosen, distance = [0], np.sum((points - points[0]) ** 2, axis=1)
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.sum((points - points[chosen[-1]]) ** 2, axis=1))
    centers = points[chosen]
    for _ in range(iterations):
        nearest = np.argmin(np.sum((points[:, None] - centers) ** 2, axis=2), axis=1)
        member = np.eye(count)[nearest]
        centers = np.where(member.sum(axis=0)[:, None] > 0, member.T @ points / np.maximum(member.sum(axis=0), 1)[:, None], centers)
    return nearest


def fit_affine_pieces(log_joint: np.ndarray, directions: np.ndarray, features: np.ndarray, noise_variance: float, ridge: float,
                      iterations: int) -> AffinePieces:
    """EM for slope, offset and variance of one sub-band, the mixture over directions held fixed.

    log_joint: (N, R) from `Pieces.log_joint`; features: (N, G). Maximises
    sum_n log sum_r pi_r N(u_n; nu_r, Om_r) exp E[log N(g_n + noise; L_r u_n + l_r, Sig_r)] - ridge / 2 sum_rd |L_rd|^2 / Sig_rd
    with noise of variance `noise_variance`, which thereby is Sig's floor; the objective never decreases.
    """
    posterior, _ = _normalised(log_joint)
    objective = []
    for _ in range(iterations):
        slope, offset, variance = _affine_step(posterior, directions, features, noise_variance, ridge)
        log_density = _expected_log_density(directions, features, slope, offset, variance, noise_variance)
        posterior, evidence = _normalised(log_joint + log_density)
        objective.append(float(evidence.sum() - 0.5 * ridge * np.sum(slope ** 2 / variance[..., None])))
    return AffinePieces(slope, offset, variance, tuple(objective))


def _affine_step(posterior, directions, features, noise_variance: float, ridge: float):
    """M-step: weighted ridge regression of every piece, its residual variance plus the noise's."""
    mass = posterior.sum(axis=0) + 1e-9
    mean_u, mean_g = posterior.T @ directions / mass[:, None], posterior.T @ features / mass[:, None]
    square_u = np.einsum('nr,ni,nj->rij', posterior, directions, directions, optimize=True)
    scatter = square_u - mass[:, None, None] * mean_u[:, :, None] * mean_u[:, None] + ridge * np.eye(3)
    cross = np.stack([(posterior * directions[:, i:i + 1]).T @ features for i in range(3)], axis=-1)
    cross = cross - mass[:, None, None] * mean_g[:, :, None] * mean_u[:, None]
    slope = np.linalg.solve(scatter, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    offset = mean_g - np.einsum('rgi,ri->rg', slope, mean_u)
    total = posterior.T @ features ** 2 - mass[:, None] * mean_g ** 2
    residual = np.maximum(total - np.einsum('rgi,rgi->rg', slope, cross), 0.0)   # sum r e^2 + ridge |L|^2, by the normal equations
    return slope, offset, residual / mass[:, None] + noise_variance


def _expected_log_density(directions, features, slope, offset, variance, noise_variance: float) -> np.ndarray:
    """E[log N(g_n + noise; L_r u_n + l_r, Sig_r)]: (N, R), by products of matrices only."""
    precision = 1 / variance
    affine = np.concatenate([slope, offset[..., None]], axis=-1)
    extended = np.concatenate([directions, np.ones((len(directions), 1))], axis=1)
    gram = np.einsum('rg,rgi,rgj->rij', precision, affine, affine, optimize=True)
    quadratic = (features ** 2) @ precision.T + np.einsum('ni,rij,nj->nr', extended, gram, extended, optimize=True)
    for i in range(4):
        quadratic -= 2 * extended[:, i:i + 1] * (features @ (precision * affine[..., i]).T)
    return -0.5 * (quadratic + (noise_variance * precision + np.log(variance) + _LOG_TWO_PI).sum(axis=1))


def _normalised(log_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior (N, R) and log evidence (N,)."""
    peak = log_values.max(axis=1, keepdims=True)
    values = np.exp(log_values - peak)
    total = values.sum(axis=1, keepdims=True)
    return values / total, (peak + np.log(total))[:, 0]


def learn_free_field_map(array: MicrophoneArray, config: AcousticMapConfig, front_end: AudioFrontEndConfig) -> AcousticMap:
    """The map of an array in the free field, from its geometry alone; deterministic, a few seconds. Raises UserError for one microphone."""
    if len(array.coordinates) < 2:
        raise UserError('an acoustic map needs at least 2 microphones: this head has one')
    directions = training_directions(config)
    features = free_field_features(array, directions, front_end)
    pieces = learn_pieces(directions, config.num_pieces, config.thickness)
    log_joint = pieces.log_joint(directions)
    frequency_khz = 1e-3 * subband_mean(front_end.stft.frequencies, front_end.subbands)
    noise = config.feature_noise + config.feature_noise_per_khz * frequency_khz
    fitted = [fit_affine_pieces(log_joint, directions, features[:, k], level ** 2, config.ridge, config.iterations)
              for k, level in enumerate(noise)]
    shared = {name: np.repeat(value[None], len(noise), axis=0) for name, value in (
        ('log_weight', pieces.log_weight), ('center', pieces.center), ('center_precision', pieces.precision),
        ('center_log_det_precision', pieces.log_det_precision))}
    return AcousticMap(
        **shared, **{name: np.stack([getattr(f, name) for f in fitted]) for name in ('slope', 'offset', 'variance')},
        log_range=np.full(features.shape[2], np.log(2.0)), sample_rate=front_end.stft.sample_rate, window=front_end.stft.window,
        hop=front_end.stft.hop, num_taps=front_end.transfer.num_taps, subband_width=front_end.subbands.width,
        num_microphones=len(array.coordinates), geometry_hash=array.geometry_hash)


def cached_free_field_map(array: MicrophoneArray, config: AcousticMapConfig, front_end: AudioFrontEndConfig) -> AcousticMap:
    """`learn_free_field_map`, kept in the cache folder under a name made of geometry and configuration; a spoilt file is learnt anew."""
    key = repr((array.geometry_hash, astuple(config), astuple(front_end.stft), astuple(front_end.transfer), astuple(front_end.subbands)))
    path = cache_directory() / f'acoustic_map_{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz'
    if path.is_file():
        try:
            acoustic_map = AcousticMap.load(path)
            acoustic_map.check(array, front_end)
            return acoustic_map
        except UserError:
            path.unlink(missing_ok=True)
    acoustic_map = learn_free_field_map(array, config, front_end)
    partial = path.with_suffix(f'.{os.getpid()}.part')   # several nodes may learn at once
    acoustic_map.save(partial)
    partial.replace(path)
    return acoustic_map
