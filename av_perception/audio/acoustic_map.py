# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The acoustic map: a piecewise-affine regression from direction to feature vector.

Per sub-band k (Deleforge, Forbes and Horaud 2015; Ban et al. 2021):

    p(u) = sum_r pi_r N(u; nu_r, Om_r),    p(g | u, r) = N(g; L_r u + l_r, Sig_r),

with Sig_r diagonal. The latent u is the unit vector towards the source in the array frame: no
wrap-around, azimuth and elevation alike.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_file import FORMAT_VERSION, read_map, write_map
from av_perception.errors import UserError
from av_perception.numerics.softmax import log_sum_exp
from av_perception.robot_head.profile import MicrophoneArray

_COVERED_DISTANCE = 3.0  # Mahalanobis


@dataclass(frozen=True)
class AcousticMap:
    """Parameters of all K sub-bands, R pieces, G features.

    The numbers name the analysis and the array that the map belongs to.
    """

    #: (K, R) log pi.
    log_weight: np.ndarray
    #: (K, R, 3) nu.
    center: np.ndarray
    #: (K, R, 3, 3) Om^-1.
    center_precision: np.ndarray
    #: (K, R) log |Om^-1|.
    center_log_det_precision: np.ndarray
    #: (K, R, G, 3) L.
    slope: np.ndarray
    #: (K, R, G) l.
    offset: np.ndarray
    #: (K, R, G) diagonal of Sig.
    variance: np.ndarray
    #: (G,) log of each feature's range.
    log_range: np.ndarray
    #: Sample rate of the analysis [Hz].
    sample_rate: int
    #: Window of the analysis [samples].
    window: int
    #: Hop of the analysis [samples].
    hop: int
    #: Length of the transfer functions [frames].
    num_taps: int
    #: Bins of a sub-band.
    subband_width: int
    #: Microphones of the array.
    num_microphones: int
    #: Of the array, see `MicrophoneArray.geometry_hash`.
    geometry_hash: str
    #: What the map was learnt from: 'free-field', 'rigid-sphere', 'sofa' or 'recording'.
    kind: str = ''
    #: The head or the file that it was learnt from.
    source: str = ''
    #: Of the file.
    format_version: int = FORMAT_VERSION

    @property
    def num_subbands(self) -> int:
        """Number K of sub-bands."""
        return self.slope.shape[0]

    @property
    def num_pieces(self) -> int:
        """Number R of pieces."""
        return self.slope.shape[1]

    @property
    def feature_size(self) -> int:
        """Number G of features of a sub-band."""
        return self.slope.shape[2]

    def piece_log_prior(self, directions: np.ndarray, subband: int) -> np.ndarray:
        """Log probability of the pieces given the direction.

        Parameters
        ----------
        directions
            (D, 3) unit vectors in the array frame.
        subband
            Index k.

        Returns
        -------
        np.ndarray
            (D, R) log p(r | u).
        """
        difference = directions[:, None] - self.center[subband]
        precision = self.center_precision[subband]
        mahalanobis = np.einsum(
            'dri,rij,drj->dr', difference, precision, difference, optimize=True
        )
        log_norm = self.log_weight[subband] + 0.5 * self.center_log_det_precision[subband]
        joint = log_norm - 0.5 * mahalanobis
        return joint - log_sum_exp(joint, keepdims=True)

    def covers(self, directions: np.ndarray, margin: float = 0.1) -> np.ndarray:
        """Whether the map was taught near these directions: elsewhere it guesses.

        Parameters
        ----------
        directions
            (D, 3) unit vectors in the array frame.
        margin
            Standard deviation that widens the pieces, as a share of the unit sphere's radius.

        Returns
        -------
        np.ndarray
            (D,) bool.
        """
        covariance = np.linalg.inv(self.center_precision[0]) + margin**2 * np.eye(3)
        precision = np.linalg.inv(covariance)
        difference = directions[:, None] - self.center[0]
        mahalanobis = np.einsum(
            'dri,rij,drj->dr', difference, precision, difference, optimize=True
        )
        return mahalanobis.min(axis=1) < _COVERED_DISTANCE**2

    def expected_features(self, directions: np.ndarray) -> np.ndarray:
        """(D, K, G) E[g_k | u] of unit vectors (D, 3)."""
        return self.feature_moments(directions)[0].swapaxes(0, 1)

    def feature_moments(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Moments of the features of sources: the pieces' mixture as one Gaussian.

        Parameters
        ----------
        directions
            (D, 3) unit vectors in the array frame.

        Returns
        -------
        mean, variance
            (K, D, G) each.
        """
        extended = np.concatenate([directions, np.ones((len(directions), 1))], axis=1)
        affine = np.concatenate([self.slope, self.offset[..., None]], axis=-1)  # (K, R, G, 4)
        row, column = np.triu_indices(4)
        products = extended[:, row] * extended[:, column] * np.where(row == column, 1.0, 2.0)
        mean, square = np.empty((2, self.num_subbands, len(directions), self.feature_size))
        is_shared = (np.ptp(self.center, axis=0) == 0).all()
        for k in range(self.num_subbands):
            if k == 0 or not is_shared:
                weight = np.exp(self.piece_log_prior(directions, k))
                first = _weighted(weight, extended)
                second = _weighted(weight, products)
            # E[g] = sum_r p(r | u) (L_r u + l_r), and the same of the squares plus Sig_r
            mean[k] = first @ affine[k].transpose(0, 2, 1).reshape(-1, self.feature_size)
            outer = affine[k][..., row] * affine[k][..., column]
            outer = outer.transpose(0, 2, 1).reshape(-1, self.feature_size)
            square[k] = second @ outer + weight @ self.variance[k]
        return mean, square - mean**2

    def log_likelihood(
        self, vectors: np.ndarray, present: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """Log density of one frame's features under sources in some directions.

        Parameters
        ----------
        vectors, present
            (K, G) features and which of them count.
        directions
            (D, 3) unit vectors in the array frame.

        Returns
        -------
        np.ndarray
            (K, D) log p(g_k | u) of the present components.
        """
        return DirectionScorer(self, directions).log_likelihood(vectors, present)

    def clutter_log_density(self, present: np.ndarray) -> np.ndarray:
        """Log of the uniform density over the present components, (..., G) -> (...)."""
        return -(present * self.log_range).sum(axis=-1)

    def save(self, path: Path) -> None:
        """Write the versioned npz file; raise UserError when the place cannot be written."""
        write_map(path, {f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: Path) -> AcousticMap:
        """Read and verify a map.

        Raises
        ------
        UserError
            When the file is absent, of another version, or not a valid map.
        """
        return cls(**read_map(path))

    def check(self, array: MicrophoneArray, front_end: AudioFrontEndConfig) -> None:
        """Verify that the map belongs to a head.

        Parameters
        ----------
        array
            The microphones of the head.
        front_end
            The analysis in use.

        Raises
        ------
        UserError
            When the map was learnt for another array or another analysis.
        """
        wanted = {
            'num_microphones': len(array.coordinates),
            'geometry_hash': array.geometry_hash,
            'sample_rate': front_end.stft.sample_rate,
            'window': front_end.stft.window,
            'hop': front_end.stft.hop,
            'num_taps': front_end.transfer.num_taps,
            'num_subbands': front_end.subbands.count,
            'subband_width': front_end.subbands.width,
        }
        for name, value in wanted.items():
            if getattr(self, name) != value:
                raise UserError(
                    f'the acoustic map ({self.kind}: {self.source}) does not fit: its {name} is '
                    f'{getattr(self, name)}, this head and front end have {value}; learn a map '
                    'for this head'
                )


class DirectionScorer:
    """The density log p(g_k | u) on a fixed set of D directions, frame after frame."""

    def __init__(self, acoustic_map: AcousticMap, directions: np.ndarray):
        self._map = acoustic_map
        self._log_prior = np.stack(
            [acoustic_map.piece_log_prior(directions, k) for k in range(acoustic_map.num_subbands)]
        )
        row, column = np.triu_indices(3)
        square = directions[:, row] * directions[:, column] * np.where(row == column, 1.0, 2.0)
        ones = np.ones((len(directions), 1))
        self._monomials = np.concatenate([square, directions, ones], axis=1)
        slope = acoustic_map.slope
        self._precision = 1 / acoustic_map.variance
        self._square = slope[..., row] * slope[..., column] * self._precision[..., None]
        self._linear = slope * self._precision[..., None]
        self._log_norm = np.log(2 * np.pi * acoustic_map.variance)

    def log_likelihood(self, vectors: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Score one frame; parameters and result as for `AcousticMap.log_likelihood`."""
        shown = present.astype(float)
        error = np.where(present, vectors, 0.0)[:, None] - self._map.offset
        # -2 log p(g_k | u, r) is a quadratic in u: its coefficients per piece ...
        quadratic = np.einsum('kg,krgi->kri', shown, self._square, optimize=True)
        linear = -2 * np.einsum(
            'krg,krgi->kri', error * shown[:, None], self._linear, optimize=True
        )
        constant = np.einsum('kg,krg->kr', shown, error**2 * self._precision + self._log_norm)
        coefficients = np.concatenate([quadratic, linear, constant[..., None]], axis=-1)
        # ... evaluated at all directions, and summed over the pieces
        exponent = self._log_prior - 0.5 * self._monomials @ coefficients.transpose(0, 2, 1)
        return log_sum_exp(exponent)


def _weighted(weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """(D, R F) products of (D, R) weights and (D, F) factors."""
    return (weight[:, :, None] * factor[:, None]).reshape(len(weight), -1)
