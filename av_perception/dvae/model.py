# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What all dynamical VAEs share: data, latents, the order of a step, whole sequences.

    p(x, z) = prod_t p(x_t | x_1:t-1, z_1:t) p(z_t | x_1:t-1, z_1:t-1)
    q(z | x) = prod_t q(z_t | z_1:t-1, x_1:T)

Every model is a VAE whose encoder and decoder get more to look at: a memory adds to the first
layer of the decoder, memories and past latents add to the posterior's mean and log variance. Where
these additions are zero, the model is the VAE (`start.py` begins there). Data are log powers
(`output='log_variance'`) or plain numbers ('mean'). Arrays: time first, features last, any batch
between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from av_perception.dvae.backend import NUMPY, Array, Backend, LstmWeights
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.memory_slopes import lstm_with_slopes

State = dict[str, Array]
LOG_VARIANCE_LIMIT = 20.0


@dataclass(frozen=True)
class Gaussian:
    """Independent numbers. mean and log_variance: (..., L)."""

    mean: Array
    log_variance: Array


@dataclass(frozen=True)
class Encoded:
    """Posterior of a sequence: Gaussian (T, ..., L) along the sample (T, ..., L) it was drawn by.

    extra: what else the model drew, for its bound (DSAE's static latent, KVAE's linear system).
    """

    posterior: Gaussian
    sample: Array
    extra: Any = None


class DynamicalVae:
    """The VAE, frame by frame, and the base of those that remember.

    Parameters
    ----------
    config
        Sizes and choices.
    parameters
        Arrays by name, of the shapes that `shapes` lists.
    ops
        The library of these arrays.
    """

    #: the name by which it is asked for
    name = 'vae'
    #: whether x_1:t-1 takes part in p(x_t | .) or p(z_t | .)
    is_autoregressive = False
    #: whether p(z_t | .) is N(0, I)
    has_standard_prior = True
    #: whether q(z_t | .) depends on earlier latents
    has_chained_posterior = False
    #: whether a frame of data depends on its own latents alone, and latents on none
    is_frame_wise = True
    #: layers that only the posterior uses: what may be fitted to a noisy recording
    encoder_layers: tuple[str, ...] = ('features', 'posterior')

    def __init__(self, config: DvaeConfig, parameters: Mapping[str, Array], ops: Backend = NUMPY):
        self.config = config
        self.parameters = parameters
        self.ops = ops

    @classmethod
    def shapes(cls, config: DvaeConfig) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter by name; 'data.*' are not trained."""
        data, latent, hidden = config.data_dim, config.latent_dim, config.hidden_dim
        shapes = {
            'data.mean': (data,),
            'data.scale': (data,),
            **dense_shapes('features', data, hidden),
            **dense_shapes('posterior', hidden, 2 * latent),
            **dense_shapes('decoder', latent, hidden),
            **dense_shapes('output', hidden, data),
        }
        if config.deep_dim:
            shapes.update(dense_shapes('deep', hidden, config.deep_dim))
            shapes.update(dense_shapes('deep_output', config.deep_dim, data, bias=False))
        return shapes

    def with_parameters(self, parameters: Mapping[str, Array], ops: Backend) -> DynamicalVae:
        """Give the same model of other parameters, perhaps of another library."""
        return type(self)(self.config, parameters, ops)

    @property
    def num_latents(self) -> int:
        """Numbers per step that `decode` takes."""
        return self.config.latent_dim

    # Steps: what a robot runs, and the definition of the model

    def start(self, like: Array) -> State:
        """Memory before the first step, of arrays like (..., anything)."""
        return {}

    def evidence(self, x: Array) -> Array:
        """(T, ..., 2 L) what data (T, ..., X) alone say of the posteriors."""
        return self._dense('posterior', self.features(x))

    def encode_step(self, state: State, evidence: Array) -> Gaussian:
        """q(z_t | z_1:t-1, x), of a row of `evidence`."""
        return self._gaussian(evidence)

    def prior_step(self, state: State, like: Array) -> Gaussian:
        """p(z_t | x_1:t-1, z_1:t-1), for a batch like (..., anything)."""
        zeros = self.ops.zeros_like(like, self.config.latent_dim)
        return Gaussian(zeros, zeros)

    def decode_step(self, state: State, z: Array) -> Array:
        """(..., X) what p(x_t | x_1:t-1, z_1:t) is, of z_t (..., L): log variance, or mean."""
        return self._output(self._dense('decoder', z))

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """Memory for the next step, of z_t and, in autoregressive models, x_t."""
        return {}

    # Whole sequences

    def encode(self, x: Array, noise: Array | None = None) -> Encoded:
        """Posterior of a sequence, along one sample of it.

        Parameters
        ----------
        x
            (T, ..., X).
        noise
            (T, ..., L) standard normal; without it the sample is the chain of the means.
        """
        rows = self.evidence(x)
        if not self.has_chained_posterior:
            posterior = self._gaussian(rows)
            return Encoded(posterior, self._draw(posterior, noise))
        state = self.start(rows[0])
        found = []
        samples = []
        for t in range(len(rows)):
            found.append(self.encode_step(state, rows[t]))
            samples.append(self._draw(found[-1], None if noise is None else noise[t]))
            if t + 1 < len(rows):
                state = self._advance_encoder(state, samples[-1], x[t])
        mean = self.ops.stack([one.mean for one in found])
        log_variance = self.ops.stack([one.log_variance for one in found])
        return Encoded(Gaussian(mean, log_variance), self.ops.stack(samples))

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """p(z_t | .) at all times, of latents (T, ..., L) and, as in `decode`, past data."""
        zeros = self.ops.zeros_like(z, self.config.latent_dim)
        return Gaussian(zeros, zeros)

    def divergence(self, encoded: Encoded, x: Array | None = None) -> Array:
        """(T, ...) KL(q(z_t | .) || p(z_t | .)) along the sample, the past as in `decode`."""
        return gaussian_divergence(self.ops, encoded.posterior, self.prior(encoded.sample, x))

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """Decode a sequence.

        Parameters
        ----------
        z
            (T, ..., L).
        x
            (T, ..., X) data that autoregressive models see the past of; without it their past is
            their own output (generation mode).
        own
            (T, ..., 1) where x is given: 1 where a step's own output is remembered in place of
            the data (scheduled sampling, Bengio et al. 2015), 0 elsewhere.

        Returns
        -------
        array
            (T, ..., X) log variances, or means.
        """
        return self._output(self._dense('decoder', z))

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """Evaluate what memories add to the decoder's first layer, in generation mode.

        Parameters
        ----------
        z
            (T, L) latents, of NumPy.

        Returns
        -------
        tuple
            The layer's bias and the addition (T, H) or (H,), and the addition's derivatives
            (T, H, L) in z_t of the same step, or 0.
        """
        return self.parameters['decoder.bias'], 0

    def features(self, x: Array) -> Array:
        """(..., H) hidden layer on data (..., X)."""
        normal = (x - self.parameters['data.mean']) * self.parameters['data.scale']
        return self._hidden('features', normal)

    # What the other models are made of

    def _advance_encoder(self, state: State, z: Array, x: Array) -> State:
        """As `advance`, but only what the posterior reads."""
        return self.advance(state, z, x)

    def _draw(self, of: Gaussian, noise: Array | None) -> Array:
        if noise is None:
            return of.mean
        return of.mean + self.ops.exp(0.5 * of.log_variance) * noise

    def _gaussian(self, both: Array) -> Gaussian:
        """Take mean and log variance apart."""
        size = both.shape[-1] // 2
        log_variance = self.ops.clip(both[..., size:], -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        return Gaussian(both[..., :size], log_variance)

    def _output(self, pre: Array) -> Array:
        """From the decoder's hidden layer, before its activation, to log variance or mean."""
        hidden = self._activate(pre)
        out = self._dense('output', hidden)
        if self.config.deep_dim:
            out = out + self._dense('deep_output', self._hidden('deep', hidden))
        if self.config.output == 'mean':
            return out
        return self.ops.clip(out, -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)

    def _dense(self, name: str, x: Array) -> Array:
        bias = self.parameters.get(f'{name}.bias')
        return self.ops.dense(x, self.parameters[f'{name}.weight'], bias)

    def _hidden(self, name: str, x: Array) -> Array:
        return self._activate(self._dense(name, x))

    def _activate(self, x: Array) -> Array:
        return x if self.config.activation == 'linear' else self.ops.tanh(x)

    def _lstm_weights(self, name: str) -> LstmWeights:
        parts = (self.parameters[f'{name}.{part}'] for part in ('input', 'recurrent', 'bias'))
        return LstmWeights(*parts)

    def _remember(self, name: str, x: Array) -> Array:
        """(T, ..., M) of (T, ..., I), forwards."""
        return self.ops.lstm(x, self._lstm_weights(name))

    def _added_by(self, name: str, x: Array, latents: int) -> tuple[Array, Array]:
        """As `memory_addition`, of a memory whose last inputs of (T, I) are the L latents."""
        outputs, slopes = lstm_with_slopes(x, self._lstm_weights(name), latents)
        weight = self.parameters['memory_decoder.weight']
        return outputs @ weight.T + self.parameters['decoder.bias'], weight @ slopes

    def _remember_backward(self, name: str, x: Array) -> Array:
        """(T, ..., M) of (T, ..., I), from the end."""
        return self.ops.reverse(self._remember(name, self.ops.reverse(x)))

    def _empty_memory(self, like: Array) -> tuple[Array, Array]:
        zeros = self.ops.zeros_like(like, self.config.memory_dim)
        return zeros, zeros

    def _step_memory(self, name: str, x: Array, memory: tuple) -> tuple[Array, Array]:
        return self.ops.lstm_step(x, memory, self._lstm_weights(name))

    def _delayed(self, rows: Array) -> Array:
        """(T, ..., I) the row before; zeros before the first."""
        return self.ops.delay(rows)


class AutoregressiveVae(DynamicalVae):
    """A model in which the past data take part: x_t has a distribution given x_1:t-1."""

    is_autoregressive = True
    is_frame_wise = False

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """See `DynamicalVae`: past data are the model's own, and no z_t of the same step."""
        memory = self._past(z, self.decode(z))
        return self._dense('memory_decoder', memory) + self.parameters['decoder.bias'], 0

    def _past(self, z: Array, x: Array) -> Array:
        """(T, ..., M) memory that the decoder reads, without z_t of the same step."""
        raise NotImplementedError

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """See `DynamicalVae.decode`: step by step wherever the past is the model's own."""
        if x is not None and own is None:
            return self._decode_given(z, x)
        state = self.start(z[0])
        outputs = []
        for t in range(len(z)):
            outputs.append(self.decode_step(state, z[t]))
            seen = outputs[-1]
            if x is not None and own is not None:
                seen = own[t] * seen + (1 - own[t]) * x[t]
            if t + 1 < len(z):
                state = self.advance(state, z[t], seen)
        return self.ops.stack(outputs)

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """See `DynamicalVae.prior`."""
        return self._prior_given(z, self.decode(z) if x is None else x)

    def _prior_given(self, z: Array, x: Array) -> Gaussian:
        zeros = self.ops.zeros_like(z, self.config.latent_dim)
        return Gaussian(zeros, zeros)

    def _decode_given(self, z: Array, x: Array) -> Array:
        """All times at once, where the past data are known."""
        return self._decode_with(self._past(z, x), z)

    def _decode_with(self, memory: Array, z: Array) -> Array:
        return self._output(self._dense('decoder', z) + self._dense('memory_decoder', memory))


def gaussian_divergence(ops: Backend, q: Gaussian, p: Gaussian) -> Array:
    """(...) KL divergence of Gaussians q from p, summed over their numbers (..., L)."""
    difference = q.mean - p.mean
    ratio = q.log_variance - p.log_variance
    scaled = ops.exp(-p.log_variance) * difference * difference
    return 0.5 * ops.sum_last(ops.exp(ratio) + scaled - ratio - 1.0)


def dense_shapes(name: str, inputs: int, outputs: int, bias: bool = True) -> dict:
    """Shapes of one dense layer by name."""
    shapes: dict[str, tuple[int, ...]] = {f'{name}.weight': (outputs, inputs)}
    if bias:
        shapes[f'{name}.bias'] = (outputs,)
    return shapes


def lstm_shapes(name: str, inputs: int, size: int) -> dict:
    """Shapes of one memory by name."""
    return {
        f'{name}.input': (4 * size, inputs),
        f'{name}.recurrent': (4 * size, size),
        f'{name}.bias': (4 * size,),
    }
