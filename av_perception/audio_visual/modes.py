# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Speech with several modes, such as seen and not seen: what `alternation` takes as its E-step.

    alpha_1 ~ p0,  p(alpha_t = m | alpha_t-1 = l) = tau_lm,
    x_t | z_t, alpha_t = m ~ N_c(0, g v_m(z_t) + noise)

The latents of each mode give a loss F_tm, minus the log of its evidence; a chain makes of these
the probability e_tm of each mode. Of a recording it looks both ways and learns tau
(`SmoothedChain`), in a stream it follows the past alone (`FilteredChain`). In both the last mode,
the one that is to prove itself, has to bring a doubt beforehand: where nothing is heard, nothing
speaks against eyes that lie.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from av_perception.enhancement.alternation import PossibleSpeech
from av_perception.enhancement.posterior import Posterior
from av_perception.numerics.hmm import ChainPosterior, forward_backward, forward_step

#: Probability that a mode lasts from one frame to the next.
STAY = 0.97
#: Evidence that every frame of the last mode has to bring beforehand [nat].
DOUBT = 0.4


class Modes(Protocol):
    """Latents of T frames in each of M modes."""

    def improve(self, posterior: Posterior) -> np.ndarray:
        """Better them, with noise and gains as they are now; gives the losses F (T, M)."""

    def speech(self, shares: np.ndarray) -> PossibleSpeech:
        """Give what speech may be, for probabilities (T, M) of the modes."""


class Chain(Protocol):
    """What losses say of the modes."""

    def shares(self, losses: np.ndarray) -> np.ndarray:
        """Probabilities (T, M) of the modes, of losses F (T, M)."""


class ModesStep:
    """An E-step: latents of each mode, then how far each mode is believed.

    Parameters
    ----------
    modes
        Latents.
    chain
        Of the modes.
    shares
        (T, M) to begin with.

    Attributes
    ----------
    shares
        (T, M) now.
    """

    def __init__(self, modes: Modes, chain: Chain, shares: np.ndarray):
        self._modes = modes
        self._chain = chain
        self.shares = shares

    @property
    def speech(self) -> PossibleSpeech:
        """What speech may be, as far as is known now."""
        return self._modes.speech(self.shares)

    def __call__(self, posterior: Posterior) -> PossibleSpeech:
        """Improve the latents, and ask the chain."""
        self.shares = self._chain.shares(self._modes.improve(posterior))
        return self.speech


class SmoothedChain:
    """The modes of a recording: forward-backward, with transitions that are learned.

    Parameters
    ----------
    num_modes
        M.
    stay
        Probability that a mode lasts, believed beforehand.
    stay_frames
        How many frames this belief is worth; 0: transitions are those of the recording.
    doubt
        Of the last mode [nat a frame].

    Attributes
    ----------
    transition
        (M, M) tau.
    bounds
        B after each call.
    """

    def __init__(self, num_modes: int, stay: float, stay_frames: float, doubt: float):
        self._believed = first_transition(num_modes, stay)
        self._frames = stay_frames
        self._doubts = doubts(num_modes, doubt)
        self.transition = self._believed
        self.bounds: list[float] = []

    def shares(self, losses: np.ndarray) -> np.ndarray:
        """Probabilities (T, M) of the modes, of losses F (T, M); then tau follows."""
        chain = chain_posterior(self.transition, losses + self._doubts)
        # (a belief of the transitions has a log density, too)
        size = len(self._doubts)
        logs = self._frames * np.sum(self._believed * np.log(self.transition)) / size
        self.bounds.append(chain.log_evidence + logs)
        counts = chain.pairs.sum(axis=0) + self._frames / size * self._believed + 1e-9
        self.transition = counts / counts.sum(axis=1, keepdims=True)
        return chain.states


class FilteredChain:
    """The modes of a stream, block by block, from the past alone.

    Parameters
    ----------
    num_modes
        M.
    stay, doubt
        As for `SmoothedChain`.
    surest
        Most that a frame says for or against the last mode [nat]: at first noise is not known yet.
    least
        Probability that every mode keeps: eyes that lied may be right again.
    """

    def __init__(
        self,
        num_modes: int,
        stay: float = STAY,
        doubt: float = DOUBT,
        surest: float = 4.0,
        least: float = 0.01,
    ):
        self._log_transition = np.log(first_transition(num_modes, stay))
        self._doubts = doubts(num_modes, doubt)
        self._surest = surest
        self._least = least
        self._belief = np.full(num_modes, -np.log(num_modes))

    def filtered(self, losses: np.ndarray, is_shown: np.ndarray) -> np.ndarray:
        """Probabilities (T, M) of the modes of the next frames; what is believed stays.

        Parameters
        ----------
        losses
            (T, M) F.
        is_shown
            (T,) frames in which modes differ; in others the chain forgets.
        """
        above = losses - losses.min(axis=1, keepdims=True)
        likelihood = -(np.minimum(above, self._surest) + self._doubts) * is_shown[:, None]
        belief = self._belief
        found = np.empty(losses.shape)
        for frame, own in enumerate(likelihood):  # a block has few
            belief, _ = forward_step(belief, self._log_transition, own)
            found[frame] = np.exp(belief)
        return found

    def keep(self, shares: np.ndarray) -> None:
        """Go on from the last of these probabilities (T, M) of `filtered`."""
        self._belief = np.log(np.maximum(shares[-1], self._least))


def doubts(num_modes: int, doubt: float) -> np.ndarray:
    """(M,) of each mode [nat]: the last one's, where there is another."""
    return doubt * (np.arange(num_modes) == max(1, num_modes - 1))


def first_transition(num_modes: int, stay: float) -> np.ndarray:
    """(M, M) modes that last with this probability, and go over to all others alike."""
    if num_modes == 1:
        return np.ones((1, 1))
    others = (1 - stay) / (num_modes - 1)
    return others + (stay - others) * np.eye(num_modes)


def chain_posterior(transition: np.ndarray, losses: np.ndarray) -> ChainPosterior:
    """q(alpha), of F (T, M)."""
    size = len(transition)
    return forward_backward(np.full(size, -np.log(size)), np.log(transition), -losses)
