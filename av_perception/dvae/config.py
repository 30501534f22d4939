# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sizes and choices of a dynamical VAE."""

from __future__ import annotations

from dataclasses import dataclass

OUTPUTS = ('log_variance', 'mean')
ACTIVATIONS = ('tanh', 'linear')


@dataclass(frozen=True)
class DvaeConfig:
    """What the arrays of a model have in common, whichever of the models it is."""

    #: Numbers per step of the data: bins of a spectrum, coordinates of a pose.
    data_dim: int = 513
    #: Numbers per step of the latents.
    latent_dim: int = 16
    #: Units of hidden layers.
    hidden_dim: int = 128
    #: Units of the decoder's second hidden layer, which adds to the first; 0: there is none.
    deep_dim: int = 0
    #: Units of recurrent memories.
    memory_dim: int = 128
    #: What the decoder gives: 'log_variance' of complex Gaussians with mean zero, the data being
    #: log powers, or the 'mean' of Gaussians.
    output: str = 'log_variance'
    #: Variance of the data about the mean, where the output is one.
    noise_variance: float = 1.0
    #: Of hidden layers outside of memories: 'tanh', or 'linear', for tests against exact results.
    activation: str = 'tanh'
    #: Numbers of the latent that stays the same for a sequence (DSAE).
    static_dim: int = 16
    #: Numbers per step that a linear system moves (KVAE); the latents lie below it.
    system_dim: int = 8
    #: Linear systems that are mixed (KVAE).
    num_systems: int = 3

    def __post_init__(self):
        sizes = ('data_dim', 'latent_dim', 'hidden_dim', 'memory_dim', 'static_dim', 'system_dim')
        for name in (*sizes, 'num_systems'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        if self.deep_dim < 0:
            raise ValueError(f'deep_dim must not be negative, not {self.deep_dim}')
        if self.output not in OUTPUTS:
            raise ValueError(f'output must be one of {", ".join(OUTPUTS)}, not {self.output!r}')
        if self.activation not in ACTIVATIONS:
            names = ', '.join(ACTIVATIONS)
            raise ValueError(f'activation must be one of {names}, not {self.activation!r}')
        if not self.noise_variance > 0:
            raise ValueError(f'noise_variance must be positive, not {self.noise_variance}')
