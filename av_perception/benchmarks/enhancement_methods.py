# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Methods that make a voice in noise clear: this project's, and networks trained on noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from av_perception.enhancement.engine import EngineConfig
from av_perception.enhancement.offline import enhance_by_lsa, enhance_by_prior
from av_perception.enhancement.prior import SpeechPrior
from av_perception.enhancement.prior_stream import PriorStream
from av_perception.networks.onnx_network import checked_path
from av_perception.spectral.transform import ShortTimeFourier

Method = Callable[[np.ndarray], np.ndarray]
NOISY = 'noisy'
LSA = 'LSA'
LIVE = 'live'
LIVE_PRIORS = ('VAE', 'WIDE_VAE', 'RVAE')  # others need the past of the recording
GTCRN = 'GTCRN (supervised)'
_GTCRN_TRANSFORM = ShortTimeFourier(512, 256, 'sqrt_hann')
_GTCRN_CACHES = {
    'conv_cache': (2, 1, 16, 16, 33),
    'tra_cache': (2, 3, 1, 1, 16),
    'inter_cache': (2, 1, 33, 16),
}


def unchanged(mixture: np.ndarray) -> np.ndarray:
    """(N,) what the microphone heard."""
    return mixture


def by_prior(prior: SpeechPrior, method: str, iterations: int = 0) -> Method:
    """Make a method of the engine."""
    config = EngineConfig(method=method, iterations=iterations)
    return lambda mixture: enhance_by_prior(mixture, prior, config)


def live_by_prior(prior: SpeechPrior) -> Method:
    """Make the live stream of a prior."""

    def method(mixture: np.ndarray) -> np.ndarray:
        stream = PriorStream(prior)
        found = np.concatenate([stream.push(mixture), stream.finish()])
        return found[: len(mixture)]

    return method


class Gtcrn:
    """A small supervised network, frame by frame (Rong et al., ICASSP 2024), from its ONNX file.

    Raises UserError when the file is absent, ImportError without ONNX Runtime.
    """

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        file = checked_path(path, 'supervised enhancement')
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=['CPUExecutionProvider']
        )

    def __call__(self, mixture: np.ndarray) -> np.ndarray:
        """(N,) voice in a mixture (N,)."""
        spectra = _GTCRN_TRANSFORM.forward(mixture)
        caches = {name: np.zeros(shape, np.float32) for name, shape in _GTCRN_CACHES.items()}
        found = np.empty_like(spectra)
        for index, row in enumerate(spectra):
            frame = np.stack([row.real, row.imag], axis=-1)[None, :, None].astype(np.float32)
            outputs = self._session.run(None, {'mix': frame, **caches})
            found[index] = outputs[0][0, :, 0, 0] + 1j * outputs[0][0, :, 0, 1]
            caches = dict(zip(_GTCRN_CACHES, outputs[1:]))
        return _GTCRN_TRANSFORM.inverse(found, len(mixture))


def make_methods(priors: dict[str, SpeechPrior], ways: Sequence[str]) -> dict[str, Method]:
    """Make all methods of this project by name.

    Parameters
    ----------
    priors
        By name.
    ways
        Methods of the engine, and LIVE for the live stream of priors that can.
    """
    methods: dict[str, Method] = {NOISY: unchanged, LSA: enhance_by_lsa}
    for name, prior in priors.items():
        for way in ways:
            if way != LIVE:
                methods[f'{name} {way}'] = by_prior(prior, way)
            elif name in LIVE_PRIORS:
                methods[f'{name} {way}'] = live_by_prior(prior)
    return methods
