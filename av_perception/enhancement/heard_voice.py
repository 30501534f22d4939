# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A live voice as the classic gain hears it, with or without the microphone that it came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.lsa import RATE, LsaConfig, LsaGain
from av_perception.enhancement.mask_noise import MaskNoise
from av_perception.spectral.transform import StreamingAnalysis


@dataclass(frozen=True)
class HeardFrames:
    """T frames of F frequencies.

    spectra: (T, F) of the voice; power: (T, F) of it; gain, noise: (T, F) of `LsaGain`.
    """

    spectra: np.ndarray
    power: np.ndarray
    gain: np.ndarray
    noise: np.ndarray


class HeardVoice:
    """Samples in, cut anyhow; frames with their gains out.

    Parameters
    ----------
    config
        Of the gain and its transform.
    dtype
        Of the windows.
    """

    def __init__(self, config: LsaConfig, dtype: type[np.floating] = np.float64):
        self._transform = config.transform
        self._dtype = dtype
        self._gain = LsaGain(config)
        self._num_columns = 1
        self._masks = MaskNoise(config.transform.hop / RATE)
        self._analysis: StreamingAnalysis | None = None  # of one column or of two

    def push(self, samples: np.ndarray) -> HeardFrames:
        """Take the next samples.

        Parameters
        ----------
        samples
            (N,) of the voice, or (N, 2) with those of its microphone, finite; one of the two for
            the whole of a voice.

        Returns
        -------
        HeardFrames
            Those that became complete.
        """
        columns = (samples[:, None] if samples.ndim == 1 else samples).astype(self._dtype)
        if self._analysis is None:
            self._num_columns = columns.shape[1]
            transform = self._transform
            self._analysis = StreamingAnalysis(
                transform.analysis_window,
                transform.hop,
                self._num_columns,
                transform.lead,
                self._dtype,
            )
        if columns.shape[1] != self._num_columns:
            raise ValueError('a voice has its microphone from its first sample on, or never')
        return self._heard(self._analysis.push(columns))

    def finish(self) -> HeardFrames:
        """End the voice: gives its last frames."""
        if self._analysis is None:
            self.push(np.zeros(0))
        assert self._analysis is not None
        return self._heard(self._analysis.finish())

    def _heard(self, spectra: np.ndarray) -> HeardFrames:
        spectra = spectra.astype(np.result_type(self._dtype, np.complex64))
        power = spectra.real**2 + spectra.imag**2
        own = np.ascontiguousarray(power[..., 0])
        if self._num_columns == 1:
            gain, noise = self._gain.update_with_noise(own)
        else:
            known, presence = self._masks.update(own, power[..., 1])
            gain, noise = self._gain.update_with_noise(own, known, presence)
        return HeardFrames(spectra[..., 0], own, gain, noise)
