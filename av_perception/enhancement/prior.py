# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What enhancement asks of a prior of speech: a decoder, its derivatives, an encoder.

Speech is `s_tf | z ~ N_c(0, v_tf(z))` with latents `z_t ~ N(m_t, diag(p_t))` whose mean and
variance may depend on the latents before. Spectra are those of `PRIOR_TRANSFORM` on a waveform
whose largest sample is about 1. A frame-wise model, a recurrent one and a dynamical one look the
same from here: sequences in, sequences out.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from av_perception.dvae.spectra import PRIOR_TRANSFORM, RATE

__all__ = ['PRIOR_TRANSFORM', 'RATE', 'SpeechPrior', 'TunablePrior']


@runtime_checkable
class SpeechPrior(Protocol):
    """T frames of F bins, L latents a frame; all arrays float32."""

    @property
    def num_bins(self) -> int:
        """F."""

    @property
    def num_latents(self) -> int:
        """L."""

    @property
    def is_frame_wise(self) -> bool:
        """Whether frames of speech depend on their own latents alone, and latents on none."""

    def encode(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of the latents, of the power of speech (T, F)."""

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Variance of speech (T, F), positive, of latents (T, L)."""

    def decode_gradient(self, latents: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Gradient (T, L) of `sum_tf weights_tf log v_tf` in the latents, through time."""

    def decode_jacobian(self, latents: np.ndarray) -> np.ndarray:
        """Give the derivatives (T, F, L) of log v_t in z_t of the same frame."""

    def prior(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of z_t given the rows of latents (T, L) before t."""


@runtime_checkable
class TunablePrior(SpeechPrior, Protocol):
    """A prior whose encoder can be fitted to a recording; its decoder stays."""

    def encoder_parameters(self) -> dict[str, np.ndarray]:
        """All numbers of the encoder, by name."""

    def encoder_gradient(
        self, power: np.ndarray, mean_gradient: np.ndarray, log_variance_gradient: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Gradients in the encoder's parameters, of those (T, L) in what `encode` gives."""

    def with_encoder(self, parameters: dict[str, np.ndarray]) -> TunablePrior:
        """Give the same prior with another encoder."""
