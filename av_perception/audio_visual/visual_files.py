# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What training made of somebody's mouths, in files: visual priors and VAEs that see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.array_files import json_of
from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seeing_vae import SEEING_MODELS, SeeingConfig, SeeingVae
from av_perception.audio_visual.visual_prior import LinearVisualPrior, VisualPrior
from av_perception.dvae.model_file import CARD, model_of, save_model
from av_perception.dvae.spectra import FLOOR
from av_perception.dvae.speech_prior import SpeechPrior
from av_perception.errors import UserError
from av_perception.networks.weights import read_arrays

_LINEAR = 'linear'
_ARRAYS = ('weight', 'bias', 'variance', 'blind_mean', 'blind_variance')


@dataclass(frozen=True)
class NetworkVisualPrior:
    """The Gaussian that a VAE that sees gives the latents by vision alone."""

    model: SeeingVae

    @property
    def num_features(self) -> int:
        """D."""
        return self.model.config.visual_dim

    @property
    def num_latents(self) -> int:
        """L."""
        return self.model.num_latents

    def prior(self, features: VisualFeatures) -> tuple[np.ndarray, np.ndarray]:
        """See `VisualPrior`."""
        found = self.model.looking_at(features).visual_gaussian()
        return found.mean, np.exp(found.log_variance)

    def blind(self) -> tuple[np.ndarray, np.ndarray]:
        """See `VisualPrior`."""
        return self.model.parameters['blind.mean'], self.model.parameters['blind.variance']


def seeing_speech(model: SeeingVae, features: VisualFeatures, floor: float = FLOOR) -> SpeechPrior:
    """Make a prior of speech of a VAE that looks at somebody: for every E-step of the engine."""
    return SpeechPrior(model.looking_at(features), floor)


def save_visual_prior(path: Path, prior: VisualPrior, card: Mapping) -> None:
    """Write a visual prior, or the VAE that it is part of.

    Parameters
    ----------
    path
        The .npz file.
    prior
        A `LinearVisualPrior` or a `NetworkVisualPrior`.
    card
        What else is known of it, of numbers and text: the prior of speech whose latents it is of
        (`speech_prior`), data, figures.

    Raises
    ------
    UserError
        When it cannot be written.
    """
    if isinstance(prior, NetworkVisualPrior):
        save_model(path, prior.model, card, half=False)
        return
    assert isinstance(prior, LinearVisualPrior)
    text = json.dumps({**card, 'model': _LINEAR}, sort_keys=True)
    arrays: dict[str, Any] = {name: getattr(prior, name) for name in _ARRAYS[:3]}
    arrays.update(zip(_ARRAYS[3:], prior.blind()))
    arrays[CARD] = np.frombuffer(text.encode(), np.uint8)
    try:
        np.savez_compressed(path, **arrays)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def load_visual_prior(path: Path) -> tuple[LinearVisualPrior | NetworkVisualPrior, dict]:
    """Read what `save_visual_prior` wrote: the prior and its card.

    Raises
    ------
    UserError
        When there is no such file, or it holds something else.
    """
    arrays = read_arrays(path)
    try:
        card = json_of(arrays[CARD])
        if card['model'] == _LINEAR:
            return _linear(arrays), card
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} holds no visual prior ({error}): train it again') from error
    model, card = model_of(arrays, str(path), SEEING_MODELS, SeeingConfig)
    assert isinstance(model, SeeingVae)
    return NetworkVisualPrior(model), card


def _linear(arrays: Mapping[str, np.ndarray]) -> LinearVisualPrior:
    found = [np.asarray(arrays[name], np.float32) for name in _ARRAYS]
    weight, *vectors = found
    if weight.ndim != 2 or any(one.shape != weight.shape[:1] for one in vectors):
        raise ValueError('its arrays are not what they should be')
    if not all(np.isfinite(one).all() for one in found):
        raise ValueError('it has numbers that are not finite')
    if not (vectors[1] > 0).all() or not (vectors[3] > 0).all():
        raise ValueError('a variance is not positive')
    return LinearVisualPrior(*found)
