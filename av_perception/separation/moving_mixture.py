# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The model of sources that move: what is known of sources and of the filters they pass.

    x_l = A_l s_l + b_l,  b ~ N_c(0, v I);   s_jl ~ N_c(0, u_jl);   A_l = A_l-1 + noise

for each frequency bin by itself; l counts frames, x holds I microphones, s holds J sources, A is
(I, J). The rows of A (one per microphone) are independent random walks that share their (J, J)
covariance, so that all their covariances are (J, J), too: in the publication's terms the evolution
covariance is `Sigma kron I`. The posterior is sought among products q(sources) q(filters).

In all arrays frames come first and the F bins last, so that a loop over frames works on all bins
at once. Source: Kounades-Bastian, Girin, Alameda-Pineda, Gannot and Horaud, "A variational EM
algorithm for the separation of time-varying convolutive audio mixtures", IEEE/ACM Trans. Audio,
Speech and Language Processing 24(8), 2016; below VEMOVE.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from av_perception.separation.source_powers import SourcePowers


@dataclass(frozen=True)
class SourcePosterior:
    """q(s). mean: (L, J, F); covariance: (L, J, J, F); log_det: (L, F) of the covariance."""

    mean: np.ndarray
    covariance: np.ndarray
    log_det: np.ndarray

    @cached_property
    def second_moment(self) -> np.ndarray:
        """(L, J, J, F) E[s s^H]."""
        return self.covariance + self.mean[:, :, None] * self.mean.conj()[:, None]

    @cached_property
    def power(self) -> np.ndarray:
        """(L, J, F) E[|s|^2]."""
        return np.einsum('ljjf->ljf', self.second_moment).real


@dataclass(frozen=True)
class FilterPosterior:
    """q(A). mean: (L, I, J, F); the rest is shared by the microphones.

    covariance: (L, J, J, F), entry (j, r) is Cov(a_ij, a_ir); lag_one: (L - 1, J, J, F)
    Cov(a_l+1, a_l); entropy: (F,) of the whole walk of all microphones.
    """

    mean: np.ndarray
    covariance: np.ndarray
    lag_one: np.ndarray
    entropy: np.ndarray

    @cached_property
    def gram(self) -> np.ndarray:
        """(L, J, J, F) E[A^H A]; the covariance is transposed in it."""
        num_microphones = self.mean.shape[1]
        outer = np.einsum('lirf,lijf->lrjf', self.mean.conj(), self.mean)
        return outer + num_microphones * self.covariance.swapaxes(1, 2)


@dataclass(frozen=True)
class Evolution:
    """How filters walk. mean: (I, J, F) of the first; start, step: (J, J, F) covariances.

    start: of the first filter, step: from one to the next. The publication has one covariance for
    both (`tied`); a wide start of its own says that nothing is known of the first filter.
    """

    mean: np.ndarray
    start: np.ndarray
    step: np.ndarray
    tied: bool = True


@dataclass(frozen=True)
class MovingMixture:
    """Everything that the updates change, and the mixture (L, I, F) of mean power one.

    noise: (F,) power of the microphones' noise v.
    """

    spectra: np.ndarray
    powers: SourcePowers
    noise: np.ndarray
    evolution: Evolution
    filters: FilterPosterior
    sources: SourcePosterior
