# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The acoustic map: a piecewise-affine regression from direction to feature vector per sub-band, and its file.

Per sub-band k (Deleforge, Forbes and Horaud 2015; Ban et al. 2021): p(u) = sum_r pi_r N(u; nu_r, Om_r),
p(g | u, r) = N(g; L_r u + l_r, Sig_r) with Sig_r diagonal. The latent u is the unit vector towards the source in the array frame:
no wrap-around, azimuth and elevation alike.
"""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.errors import UserError
from av_perception.robot_head.profile import MicrophoneArray

FORMAT_VERSION = 2
_ARRAYS = (
    'log_weight',
    'center',
    'center_precision',
    'center_log_det_precision',
    'slope',
    'offset',
    'variance',
    'log_range',
)
_NUMBERS = (
    'format_version',
    'sample_rate',
    'window',
    'hop',
    'num_taps',
    'subband_width',
    'num_microphones',
)
_TEXTS = ('geometry_hash', 'kind', 'source')
_COVERED_DISTANCE = 3.0  # Mahalanobis


@dataclass(frozen=True)
class AcousticMap:
    """Parameters of all K sub-bands, R pieces, G features.

    log_weight (K, R): log pi; center (K, R, 3): nu; center_precision (K, R, 3, 3): Om^-1; center_log_det_precision (K, R): log |Om^-1|;
    slope (K, R, G, 3): L; offset (K, R, G): l; variance (K, R, G): diagonal of Sig; log_range (G,): log of each feature's range.
    The numbers name the analysis and the array the map belongs to; kind and source what it was learnt from ('free-field', 'rigid-sphere',
    'sofa', 'recording'; a head or a file).
    """

    log_weight: np.ndarray
    center: np.ndarray
    center_precision: np.ndarray
    center_log_det_precision: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    variance: np.ndarray
    log_range: np.ndarray
    sample_rate: int
    window: int
    hop: int
    num_taps: int
    subband_width: int
    num_microphones: int
    geometry_hash: str
    kind: str = ''
    source: str = ''
    format_version: int = FORMAT_VERSION

    @property
    def num_subbands(self) -> int:
        """K."""
        return self.slope.shape[0]

    @property
    def num_pieces(self) -> int:
        """R."""
        return self.slope.shape[1]

    @property
    def feature_size(self) -> int:
        """G."""
        return self.slope.shape[2]

    def piece_log_prior(self, directions: np.ndarray, subband: int) -> np.ndarray:
        """log p(r | u) of (D, 3) directions -> (D, R)."""
        difference = directions[:, None] - self.center[subband]
        mahalanobis = np.einsum(
            'dri,rij,drj->dr',
            difference,
            self.center_precision[subband],
            difference,
            optimize=True,
        )
        joint = (
            self.log_weight[subband]
            + 0.5 * self.center_log_det_precision[subband]
            - 0.5 * mahalanobis
        )
        return joint - _logsumexp(joint)

    def covers(self, directions: np.ndarray, margin: float = 0.1) -> np.ndarray:
        """(D,) whether the map was taught near the unit vectors (D, 3): elsewhere it guesses. margin: widens the pieces [of a radius]."""
        covariance = np.linalg.inv(self.center_precision[0]) + margin**2 * np.eye(3)
        difference = directions[:, None] - self.center[0]
        mahalanobis = np.einsum(
            'dri,rij,drj->dr', difference, np.linalg.inv(covariance), difference, optimize=True
        )
        return mahalanobis.min(axis=1) < _COVERED_DISTANCE**2

    def expected_features(self, directions: np.ndarray) -> np.ndarray:
        """(D, K, G) E[g_k | u] of unit vectors (D, 3)."""
        return self.feature_moments(directions)[0].swapaxes(0, 1)

    def feature_moments(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (K, D, G) of the features of sources in (D, 3) directions: the pieces' mixture as one Gaussian."""
        extended = np.concatenate([directions, np.ones((len(directions), 1))], axis=1)
        affine = np.concatenate([self.slope, self.offset[..., None]], axis=-1)  # (K, R, G, 4)
        row, column = np.triu_indices(4)
        products = extended[:, row] * extended[:, column] * np.where(row == column, 1.0, 2.0)
        mean, square = np.empty((2, self.num_subbands, len(directions), self.feature_size))
        shared = (np.ptp(self.center, axis=0) == 0).all()
        for k in range(self.num_subbands):
            if k == 0 or not shared:
                weight = np.exp(self.piece_log_prior(directions, k))
                first, second = (
                    (weight[:, :, None] * factor[:, None]).reshape(len(directions), -1)
                    for factor in (extended, products)
                )
            mean[k] = first @ affine[k].transpose(0, 2, 1).reshape(-1, self.feature_size)
            outer = affine[k][..., row] * affine[k][..., column]
            square[k] = (
                second @ outer.transpose(0, 2, 1).reshape(-1, self.feature_size)
                + weight @ self.variance[k]
            )
        return mean, square - mean**2

    def log_likelihood(
        self, vectors: np.ndarray, present: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """log p(g_k | u) of the present components: vectors, present (K, G) and directions (D, 3) -> (K, D)."""
        return DirectionScorer(self, directions).log_likelihood(vectors, present)

    def clutter_log_density(self, present: np.ndarray) -> np.ndarray:
        """log of the uniform density over the present components (..., G) -> (...)."""
        return -(present * self.log_range).sum(axis=-1)

    def save(self, path: Path) -> None:
        """Write the versioned npz file. Raises UserError when the place cannot be written."""
        try:
            with open(path, 'wb') as file:
                np.savez_compressed(
                    file,
                    **{
                        f.name: np.asarray(getattr(self, f.name)) for f in dataclasses.fields(self)
                    },
                )
        except OSError as error:
            raise UserError(
                f'cannot write the acoustic map {path}: {error.strerror or error}'
            ) from error

    @classmethod
    def load(cls, path: Path) -> AcousticMap:
        """Read and verify a map. Raises UserError for a file that is absent, of another version, or not a sound map."""
        try:
            if not zipfile.is_zipfile(path) and Path(path).exists():
                raise ValueError('it is not an npz file')
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            raise UserError(
                f'cannot read the acoustic map {path}: {" ".join(str(error).split())}; learn it again'
            ) from error
        version = content.get('format_version')
        if (
            version is None
            or version.shape != ()
            or version.dtype.kind != 'i'
            or version != FORMAT_VERSION
        ):
            raise UserError(
                f'{path} is not an acoustic map of version {FORMAT_VERSION}: learn it again'
            )
        problem = _problem(content)
        if problem:
            raise UserError(f'{path} is not a valid acoustic map ({problem}): learn it again')
        numbers = {name: int(content[name]) for name in _NUMBERS}
        return cls(
            **{name: content[name] for name in _ARRAYS},
            **numbers,
            **{name: str(content[name]) for name in _TEXTS},
        )

    def check(self, array: MicrophoneArray, front_end) -> None:
        """Raises UserError unless the map was learnt for this array and this AudioFrontEndConfig."""
        wanted = dict(
            num_microphones=len(array.coordinates),
            geometry_hash=array.geometry_hash,
            sample_rate=front_end.stft.sample_rate,
            window=front_end.stft.window,
            hop=front_end.stft.hop,
            num_taps=front_end.transfer.num_taps,
            num_subbands=front_end.subbands.count,
            subband_width=front_end.subbands.width,
        )
        for name, value in wanted.items():
            if getattr(self, name) != value:
                raise UserError(
                    f'the acoustic map ({self.kind}: {self.source}) does not fit: its {name} is {getattr(self, name)}, this head and '
                    f'front end have {value}; learn a map for this head'
                )


class DirectionScorer:
    """Evaluates log p(g_k | u) on a fixed set of D directions, frame after frame."""

    def __init__(self, acoustic_map: AcousticMap, directions: np.ndarray):
        self._map = acoustic_map
        self._log_prior = np.stack(
            [acoustic_map.piece_log_prior(directions, k) for k in range(acoustic_map.num_subbands)]
        )
        row, column = np.triu_indices(3)
        square = directions[:, row] * directions[:, column] * np.where(row == column, 1.0, 2.0)
        self._monomials = np.concatenate(
            [square, directions, np.ones((len(directions), 1))], axis=1
        )
        precision = 1 / acoustic_map.variance
        self._square = (
            acoustic_map.slope[..., row] * acoustic_map.slope[..., column] * precision[..., None]
        )  # (K, R, G, 6)
        self._linear = acoustic_map.slope * precision[..., None]
        self._precision, self._log_norm = precision, np.log(2 * np.pi * acoustic_map.variance)

    def log_likelihood(self, vectors: np.ndarray, present: np.ndarray) -> np.ndarray:
        """vectors, present (K, G) -> (K, D): the quadratic in u of every piece, then the sum over the pieces."""
        shown = present.astype(float)
        error = np.where(present, vectors, 0.0)[:, None] - self._map.offset
        quadratic = np.einsum('kg,krgi->kri', shown, self._square, optimize=True)
        linear = -2 * np.einsum(
            'krg,krgi->kri', error * shown[:, None], self._linear, optimize=True
        )
        constant = np.einsum('kg,krg->kr', shown, error**2 * self._precision + self._log_norm)
        coefficients = np.concatenate([quadratic, linear, constant[..., None]], axis=-1)
        exponent = self._log_prior - 0.5 * self._monomials @ coefficients.transpose(0, 2, 1)
        return _logsumexp(exponent)[..., 0]


def _logsumexp(values: np.ndarray) -> np.ndarray:
    """Over the last axis, which is kept."""
    peak = values.max(axis=-1, keepdims=True)
    return peak + np.log(np.exp(values - peak).sum(axis=-1, keepdims=True))


def _problem(content: dict) -> str:
    """What is wrong with the content of a map file; empty when nothing is."""
    missing = [name for name in (*_ARRAYS, *_NUMBERS, *_TEXTS) if name not in content]
    if missing:
        return f'{missing[0]} is missing'
    for name in _NUMBERS:
        if content[name].shape != () or content[name].dtype.kind != 'i' or content[name] < 1:
            return f'{name} is not a positive whole number'
    for name in _TEXTS:
        if content[name].shape != () or content[name].dtype.kind != 'U':
            return f'{name} is not a text'
    slope = content['slope']
    if slope.ndim != 4 or slope.shape[-1] != 3 or 0 in slope.shape:
        return f'slope has the shape {slope.shape}'
    subbands, pieces, size = slope.shape[:3]
    shapes = dict(
        log_weight=(subbands, pieces),
        center=(subbands, pieces, 3),
        center_precision=(subbands, pieces, 3, 3),
        center_log_det_precision=(subbands, pieces),
        slope=slope.shape,
        offset=(subbands, pieces, size),
        variance=(subbands, pieces, size),
        log_range=(size,),
    )
    for name, shape in shapes.items():
        if (
            content[name].shape != shape
            or content[name].dtype.kind != 'f'
            or not np.isfinite(content[name]).all()
        ):
            return f'{name} is not a finite array of shape {shape}'
    if size != 2 * content['subband_width'] * (content['num_microphones'] - 1):
        return 'the feature size does not follow from microphones and sub-band width'
    if content['variance'].min() <= 0:
        return 'a variance is not positive'
    return _precision_problem(content)


def _precision_problem(content: dict) -> str:
    precision = content['center_precision']
    if (
        not np.allclose(precision, precision.swapaxes(-1, -2), rtol=1e-6)
        or np.linalg.eigvalsh(precision).min() <= 0
    ):
        return 'a center precision is not positive definite'
    if not np.allclose(
        np.linalg.slogdet(precision)[1], content['center_log_det_precision'], atol=1e-6
    ):
        return 'center_log_det_precision does not belong to center_precision'
    return ''
