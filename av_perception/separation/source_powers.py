# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Prior powers of the sources, bin by bin: factorized, with a given dictionary, or fixed.

The bound holds `-log u - p / u` for each bin, where p is the posterior power of a source. That is
an Itakura-Saito divergence between p and u, which the multiplicative rule of exponent one half
never raises (`spectral/nmf.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from av_perception.spectral.nmf import Factors, update_activations, update_dictionary

LEAST_POWER = 1e-12  # of a source in a bin, in units of the mixture's mean power


class SourcePowers(Protocol):
    """Where the prior powers of J sources come from."""

    @property
    def power(self) -> np.ndarray:
        """(L, J, F) u, positive."""

    def updated(self, posterior: np.ndarray) -> SourcePowers:
        """Fit to the posterior powers (L, J, F) of the sources; the divergence does not rise."""


@dataclass(frozen=True)
class FixedPowers:
    """What somebody else says, as masks do: never changed. values: (L, J, F)."""

    values: np.ndarray

    @property
    def power(self) -> np.ndarray:
        """(L, J, F)."""
        return np.maximum(self.values, LEAST_POWER)

    def updated(self, posterior: np.ndarray) -> FixedPowers:
        """Keep the powers."""
        return self


@dataclass(frozen=True)
class FactorizedPowers:
    """Spectra of each source times activations, the models of IS-NMF.

    sources: Factors with dictionary (F, K) and activations (K, L), one per source;
    learn_dictionary: False keeps the dictionaries; reference: (L, J, F) powers that the factors
    are tied to, as if they had been observed `weight` times beside the posterior's.
    """

    sources: tuple[Factors, ...]
    learn_dictionary: bool = True
    reference: np.ndarray | None = None
    weight: float = 0.0

    @cached_property
    def power(self) -> np.ndarray:
        """(L, J, F)."""
        models = np.array([factors.model.T for factors in self.sources])
        return models.swapaxes(0, 1) + LEAST_POWER

    def updated(self, posterior: np.ndarray) -> FactorizedPowers:
        """One multiplicative step for dictionaries and activations."""
        target = posterior
        if self.reference is not None and self.weight > 0:
            # w d(reference, u) + d(posterior, u) is (1 + w) d(their mean, u) up to a constant
            target = (posterior + self.weight * self.reference) / (1 + self.weight)
        fitted = [
            _fit_step(np.maximum(target[:, j].T, LEAST_POWER), factors, self.learn_dictionary)
            for j, factors in enumerate(self.sources)
        ]
        return replace(self, sources=tuple(fitted))


def _fit_step(observed: np.ndarray, factors: Factors, learn_dictionary: bool) -> Factors:
    if learn_dictionary:
        factors = update_dictionary(observed, factors, 'itakura-saito', LEAST_POWER)
    factors = update_activations(observed, factors, 'itakura-saito', LEAST_POWER)
    return factors.normalized() if learn_dictionary else factors
