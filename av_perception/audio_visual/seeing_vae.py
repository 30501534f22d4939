# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VAEs of speech that see the mouth: the conditional VAE and the mixture of two encoders.

Both are a VAE of spectra with a network beside it that turns features of the mouth into a Gaussian
of the latents. What is added to the VAE begins as nothing, so either can begin as the VAE that
ships (`parameters_from`). Visual layers are linear where positive (ReLU), as published.

`ConditionalVae`: p(z|v), q(z|s, v), p(s|z, v). Sadeghi, Leglaive, Alameda-Pineda, Girin and
Horaud, "Audio-visual speech enhancement using conditional variational auto-encoders", IEEE/ACM
TASLP 28, 2020.

`MinVae`: two encoders q(z|s) and q(z|v), one decoder p(s|z), and a hidden choice between them.
Sadeghi and Alameda-Pineda, "Mixture of inference networks for VAE-based audio-visual speech
enhancement", IEEE Trans. Signal Processing 69, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.dvae.backend import NUMPY, Array, Backend
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.model import DynamicalVae, Gaussian, State, dense_shapes
from av_perception.dvae.start import random_parameters

_LARGE = 1e6  # no unit of a visual layer is larger


@dataclass(frozen=True)
class SeeingConfig(DvaeConfig):
    """Sizes of a VAE that sees."""

    #: Numbers per frame of the features.
    visual_dim: int = 64
    #: Units of the visual layers.
    visual_hidden: int = 128

    def __post_init__(self):
        super().__post_init__()
        for name in ('visual_dim', 'visual_hidden'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')


class SeeingVae(DynamicalVae):
    """A VAE with a Gaussian of the latents that vision gives; blind before `seeing`.

    Parameters
    ----------
    config
        Sizes: a `SeeingConfig`.
    parameters
        Arrays by name, of the shapes that `shapes` lists.
    ops
        The library of these arrays.
    """

    config: SeeingConfig
    #: layers that add to the VAE, whose zeros make it the VAE
    additions: tuple[str, ...] = ()

    def __init__(self, config: DvaeConfig, parameters: Mapping[str, Array], ops: Backend = NUMPY):
        super().__init__(config, parameters, ops)
        self._values: Any = None
        self._belief: Any = 0.0

    @classmethod
    def shapes(cls, config: DvaeConfig) -> dict[str, tuple[int, ...]]:
        """See `DynamicalVae`."""
        assert isinstance(config, SeeingConfig)
        seen, hidden = config.visual_dim, config.visual_hidden
        return {
            **super().shapes(config),
            'visual.mean': (seen,),
            'visual.scale': (seen,),
            'blind.mean': (config.latent_dim,),
            'blind.variance': (config.latent_dim,),
            **dense_shapes('visual_prior', seen, hidden),
            **dense_shapes('visual_deep', hidden, hidden),
            **dense_shapes('visual_latents', hidden, 2 * config.latent_dim),
        }

    def seeing(self, values: Array, belief: Array) -> SeeingVae:
        """Give the same model looking at features (T, ..., V), as far as (T, ..., 1) says."""
        model = copy(self)
        model._values = values
        model._belief = belief
        return model

    def looking_at(self, features: VisualFeatures) -> SeeingVae:
        """Give the same model looking at somebody."""
        return self.seeing(features.values, features.reliability[:, None])

    def with_parameters(self, parameters: Mapping[str, Array], ops: Backend) -> SeeingVae:
        """See `DynamicalVae`; what is seen stays."""
        model = type(self)(self.config, parameters, ops)
        return model.seeing(self._values, self._belief)

    def visual_gaussian(self) -> Gaussian:
        """(T, ..., L) what features alone say of the latents; N(0, I) as far as not believed."""
        hidden = self._relu('visual_deep', self._relu('visual_prior', self._normal_features()))
        found = self._gaussian(self._dense('visual_latents', hidden))
        return Gaussian(self._belief * found.mean, self._belief * found.log_variance)

    def _normal_features(self) -> Array:
        return (self._values - self.parameters['visual.mean']) * self.parameters['visual.scale']

    def _relu(self, name: str, x: Array) -> Array:
        return self.ops.clip(self._dense(name, x), 0.0, _LARGE)


class ConditionalVae(SeeingVae):
    """Vision gives the prior of the latents, and adds to encoder and decoder. See `SeeingVae`."""

    name = 'cvae'
    has_standard_prior = False
    encoder_layers = ('features', 'posterior', 'visual_encoder', 'seen_features')
    additions = ('visual_latents', 'seen_features', 'seen_decoder')

    @classmethod
    def shapes(cls, config: DvaeConfig) -> dict[str, tuple[int, ...]]:
        """See `DynamicalVae`."""
        assert isinstance(config, SeeingConfig)
        seen, hidden, units = config.visual_dim, config.visual_hidden, config.hidden_dim
        return {
            **super().shapes(config),
            **dense_shapes('visual_encoder', seen, hidden),
            **dense_shapes('seen_features', hidden, units, bias=False),
            **dense_shapes('visual_decoder', seen, hidden),
            **dense_shapes('seen_decoder', hidden, units, bias=False),
        }

    def features(self, x: Array) -> Array:
        """See `DynamicalVae`."""
        normal = (x - self.parameters['data.mean']) * self.parameters['data.scale']
        before = self._dense('features', normal)
        return self._activate(before + self._addition('visual_encoder', 'seen_features'))

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """p(z_t | v_t)."""
        if self._values is None:
            return super().prior(z, x)
        return self.visual_gaussian()

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """See `DynamicalVae`."""
        before = self._dense('decoder', z)
        return self._output(before + self._addition('visual_decoder', 'seen_decoder'))

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """See `DynamicalVae`: what vision adds."""
        bias = self.parameters['decoder.bias']
        return bias + self._addition('visual_decoder', 'seen_decoder'), 0

    def _addition(self, visual: str, added: str) -> Array:
        if self._values is None:
            return 0.0
        hidden = self._relu(visual, self._normal_features())
        return self._belief * self._dense(added, hidden)

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        return {'frame': 0}

    def prior_step(self, state: State, like: Array) -> Gaussian:
        """See `DynamicalVae`."""
        found = self.prior(like[None])
        if self._values is None:
            return Gaussian(found.mean[0], found.log_variance[0])
        return Gaussian(found.mean[state['frame']], found.log_variance[state['frame']])

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        added = self._addition('visual_decoder', 'seen_decoder')
        if self._values is not None:
            added = added[state['frame']]
        return self._output(self._dense('decoder', z) + added)

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'frame': state['frame'] + 1}


class MinVae(SeeingVae):
    """Vision is an encoder of its own; what is published as sigma are variances here.

    'branch.means' (2, L), 'branch.log_variances' (2,): the prior of the latents where the ears
    (row 0) or the eyes (row 1) chose them; 'branch.weight' (1,): pi, how often the ears do.
    """

    name = 'min_vae'
    additions = ('visual_latents',)

    @classmethod
    def shapes(cls, config: DvaeConfig) -> dict[str, tuple[int, ...]]:
        """See `DynamicalVae`."""
        return {
            **super().shapes(config),
            'branch.means': (2, config.latent_dim),
            'branch.log_variances': (2,),
            'branch.weight': (1,),
        }


SEEING_MODELS: dict[str, type[SeeingVae]] = {
    model.name: model for model in (ConditionalVae, MinVae)
}
#: what training leaves as it is
CONSTANTS = (
    'data.mean',
    'data.scale',
    'visual.mean',
    'visual.scale',
    'blind.mean',
    'blind.variance',
    'branch.weight',
)


def parameters_from(
    model: type[SeeingVae],
    config: SeeingConfig,
    vae: Mapping[str, np.ndarray],
    features: np.ndarray,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Begin as a VAE that does not believe its eyes.

    Parameters
    ----------
    model, config, seed
        What is begun, and the seed of its visual layers.
    vae
        Parameters of a VAE of the same sizes.
    features
        (N, V) examples, for their means and scales.

    Returns
    -------
    dict
        float32 array of every name.
    """
    found = random_parameters(model, config, seed)
    for name in found:
        layer = name.rsplit('.', 1)[0]
        if name in vae:
            found[name] = np.array(vae[name], np.float32)
        elif layer in model.additions:
            found[name] = np.zeros_like(found[name])
    found['visual.mean'] = features.mean(axis=0).astype(np.float32)
    spread = np.maximum(features.std(axis=0), 1e-6)
    found['visual.scale'] = (1 / spread).astype(np.float32)
    found['blind.mean'] = np.zeros(config.latent_dim, np.float32)
    found['blind.variance'] = np.ones(config.latent_dim, np.float32)
    if model is MinVae:
        for name in ('branch.means', 'branch.log_variances'):
            found[name] = np.zeros_like(found[name])
        found['branch.weight'] = np.full(1, 0.5, np.float32)
    return found
