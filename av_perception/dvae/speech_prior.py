# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Priors of speech as enhancement uses them: powers in, variances and gradients out.

Speech is `s_tf | z ~ N_c(0, v_tf(z))` in the windows of `spectra.PRIOR_TRANSFORM`, on a waveform
whose largest sample is about 1. An autoregressive model remembers what it decoded itself: there is
no clean past in noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.dvae.backend import NUMPY
from av_perception.dvae.gradient_backend import GRADIENT, Traced, gradients, traced
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.model_file import model_of
from av_perception.dvae.spectra import FLOOR, log_powers
from av_perception.errors import UserError
from av_perception.networks.weights import find_weights, load_arrays, read_arrays

#: Priors whose weights ship with the package, from the plainest.
PRIORS = ('vae', 'wide_vae', 'rvae', 'dkf', 'srnn')


@dataclass(frozen=True)
class SpeechPrior:
    """A model of speech: T frames of F bins, L latents a frame; arrays are float32.

    model: of NumPy arrays; floor: power that its data had added to every bin; card: where the
    weights come from, and their figures.
    """

    model: DynamicalVae
    floor: float = FLOOR
    card: dict | None = None

    @property
    def num_bins(self) -> int:
        """F."""
        return self.model.config.data_dim

    @property
    def num_latents(self) -> int:
        """L."""
        return self.model.num_latents

    @property
    def is_frame_wise(self) -> bool:
        """Whether frames of speech depend on their own latents alone, and latents on none."""
        return self.model.is_frame_wise

    def encode(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of the latents, of the power of speech (T, F)."""
        if not len(power):
            return (np.zeros((0, self.num_latents), np.float32),) * 2
        found = self.model.encode(log_powers(power, self.floor)).posterior
        return found.mean, np.exp(found.log_variance)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Variance of speech and floor (T, F), positive, of latents (T, L)."""
        if not len(latents):
            return np.zeros((0, self.num_bins), np.float32)
        return np.exp(self.model.decode(_float32(latents)))

    def decode_gradient(self, latents: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Gradient (T, L) of `sum_tf weights_tf log v_tf` in the latents, through time."""
        z = Traced(_float32(latents))
        decoded = self._with_gradients().decode(z)
        return gradients(decoded, _float32(weights), [z])[0]

    def decode_jacobian(self, latents: np.ndarray) -> np.ndarray:
        """Differentiate log v_t in z_t of the same frame, what came before given: (T, F, L)."""
        z = _float32(latents)
        parameters = self.model.parameters
        added, added_slope = self.model.memory_addition(z)
        hidden = np.tanh(NUMPY.dense(z, parameters['decoder.weight'], added))
        inner = np.swapaxes(parameters['decoder.weight'] + added_slope, -1, -2)
        # (T, L, H): so each layer is one product for all frames and latents
        slope = (1 - hidden**2)[:, None, :] * inner
        jacobian = _through(slope, parameters['output.weight'])
        if self.model.config.deep_dim:
            deep = np.tanh(NUMPY.dense(hidden, parameters['deep.weight'], parameters['deep.bias']))
            slope = (1 - deep**2)[:, None, :] * _through(slope, parameters['deep.weight'])
            jacobian += _through(slope, parameters['deep_output.weight'])
        return jacobian.swapaxes(1, 2)

    def prior(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (T, L) of z_t given the rows of latents (T, L) before t."""
        found = self.model.prior(_float32(latents))
        return np.array(found.mean), np.exp(found.log_variance)

    def encoder_parameters(self) -> dict[str, np.ndarray]:
        """All numbers of the encoder, by name."""
        parameters = self.model.parameters
        layers = self.model.encoder_layers
        return {name: parameters[name] for name in parameters if name.split('.')[0] in layers}

    def encoder_gradient(
        self, power: np.ndarray, mean_gradient: np.ndarray, log_variance_gradient: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Gradients in the encoder's parameters, of those (T, L) in what `encode` gives.

        The latents that the posterior is chained to are its means.
        """
        tuned = {name: Traced(values) for name, values in self.encoder_parameters().items()}
        x = log_powers(power, self.floor)
        found = self._with_gradients(tuned).encode(Traced(x)).posterior
        both = GRADIENT.concatenate([found.mean, found.log_variance])
        upstream = np.concatenate([mean_gradient, log_variance_gradient], axis=-1)
        return dict(zip(tuned, gradients(both, _float32(upstream), list(tuned.values()))))

    def with_encoder(self, parameters: dict[str, np.ndarray]) -> SpeechPrior:
        """Give the same prior with another encoder."""
        changed = {name: _float32(values) for name, values in parameters.items()}
        model = self.model.with_parameters({**self.model.parameters, **changed}, NUMPY)
        return SpeechPrior(model, self.floor, self.card)

    def _with_gradients(self, tuned: dict[str, Traced] | None = None) -> DynamicalVae:
        known = {name: traced(values) for name, values in self.model.parameters.items()}
        return self.model.with_parameters({**known, **(tuned or {})}, GRADIENT)


def load_prior(name: str) -> SpeechPrior:
    """Load a prior that ships with the package, or one from a file.

    Parameters
    ----------
    name
        One of PRIORS, or the path of a file that `av-perception train speech-prior` wrote.

    Raises
    ------
    UserError
        When there is none, or the file holds something else.
    """
    if name in PRIORS:
        entry = f'speech_{name}'
        return prior_of(load_arrays(entry), str(find_weights(entry)))
    path = Path(name)
    if not path.is_file():
        raise UserError(
            f"no prior of speech is called '{name}': name one of {', '.join(PRIORS)}, or a file "
            'that `av-perception train speech-prior` wrote'
        )
    return prior_of(read_arrays(path), name)


def prior_of(arrays: dict[str, np.ndarray], source: str) -> SpeechPrior:
    """Make a prior of the arrays of a file. Raises UserError when they are something else."""
    model, card = model_of(arrays, source)
    floor = card.get('floor', 0)
    if model.config.output != 'log_variance' or not isinstance(floor, float) or floor <= 0:
        raise UserError(f'{source} is no prior of speech: it has no spectra or no floor')
    return SpeechPrior(model, floor, card)


def _through(slope: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(T, L, out) slopes (T, L, in) behind a layer (out, in)."""
    return (slope.reshape(-1, slope.shape[-1]) @ weight.T).reshape(*slope.shape[:-1], -1)


def _float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)
