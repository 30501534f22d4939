# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Enhancement of one live voice, which can be switched while it runs.

Each mode has its own delay. When it is switched, the old one goes on until the new one has sound
from the moment of the switch; there they fade into each other. Samples keep their places: none is
left out or comes twice, only later or sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from av_perception.enhancement.lsa_stream import LsaStream

OFF = 'off'
LSA = 'lsa'
VAE = 'vae'
RVAE = 'rvae'
MODES = (OFF, LSA, VAE, RVAE)
_FADE = 512  # samples
_WARM_UP = 8000  # samples before a switch from which the new mode learns the noise


class Processor(Protocol):
    """A stream of samples that comes out later, sample n as sample n."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, as `HeardVoice`; gives those (N,) that became complete."""

    def finish(self) -> np.ndarray:
        """End the stream: gives the last samples, perhaps some silence after them."""


#: By mode: makes a processor, given the place in the stream of the first sample that it gets.
Makers = dict[str, Callable[[int], Processor]]


class PassThrough:
    """Gives what it takes."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Give the samples (N,) of the voice."""
        return samples if samples.ndim == 1 else samples[:, 0]

    def finish(self) -> np.ndarray:
        """Give nothing."""
        return np.zeros(0)


class _Running:
    """A processor with what came out and is not given yet; `first` is the place of `ready[0]`."""

    def __init__(self, processor: Processor, start: int):
        self._processor = processor
        self.first = start
        self.ready = np.zeros(0)

    @property
    def end(self) -> int:
        """Place after the last sample that came out."""
        return self.first + len(self.ready)

    def push(self, samples: np.ndarray) -> None:
        """Feed the processor."""
        self.ready = np.concatenate([self.ready, self._processor.push(samples)])

    def finish(self, end: int) -> None:
        """End the processor; `end` is the place after the last sample."""
        self.ready = np.concatenate([self.ready, self._processor.finish()])[: end - self.first]

    def take(self, end: int) -> np.ndarray:
        """Give what lies before a place."""
        count = max(0, min(end, self.end) - self.first)
        taken = self.ready[:count]
        self.ready = self.ready[count:]
        self.first += count
        return taken


class StreamEnhancer:
    """One voice.

    Parameters
    ----------
    makers
        Of processors, by mode; OFF and LSA are always there.
    mode
        To begin with. Raises ValueError when there is no such mode.
    """

    def __init__(self, makers: Makers | None = None, mode: str = OFF):
        self._makers: Makers = {
            OFF: lambda start: PassThrough(),
            LSA: lambda start: LsaStream(),
            **(makers or {}),
        }
        self._check(mode)
        self._start(mode)

    def _check(self, mode: str) -> None:
        if mode not in self._makers:
            raise ValueError(f"the mode must be one of {', '.join(self._makers)}, not '{mode}'")

    def _start(self, mode: str) -> None:
        self._mode = mode
        self._wanted = mode
        self._received = 0
        self._history: np.ndarray | None = None
        self._now = _Running(self._made(mode, 0), 0)
        self._next: _Running | None = None
        self._switched_at = 0

    @property
    def waiting(self) -> int:
        """Samples that were received and not given."""
        return self._received - self._now.first

    def switch(self, mode: str) -> None:
        """Go over to another mode. Raises ValueError when there is no such mode."""
        self._check(mode)
        self._wanted = mode

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, as `HeardVoice`; gives those (N,) that became complete."""
        if self._wanted != self._mode and self._next is None:
            self._begin_switch()
        self._received += len(samples)
        self._now.push(samples)
        if self._next is not None:
            self._next.push(samples)
        before = samples[:0] if self._history is None else self._history
        self._history = np.concatenate([before, samples])[-_WARM_UP:]
        return self._given()

    def finish(self) -> np.ndarray:
        """End the voice: gives all samples that are left. Another voice may begin after it."""
        self._now.finish(self._received)
        if self._next is not None:
            self._next.finish(self._received)
        last = self._given()
        if self._next is not None:  # the voice ended within the fade
            last = np.concatenate([last, self._now.take(self._received)])
        self._start(self._wanted)
        return last

    def _made(self, mode: str, start: int) -> Processor:
        return self._makers[mode](start)

    def _begin_switch(self) -> None:
        """Start the wanted mode beside the one that runs, a little in the past."""
        history = self._history
        start = self._received - (0 if history is None else len(history))
        self._next = _Running(self._made(self._wanted, start), start)
        if history is not None:
            self._next.push(history)
        self._switched_at = self._received
        self._mode = self._wanted

    def _given(self) -> np.ndarray:
        """Give what can be given now."""
        if self._next is None:
            return self._now.take(self._now.end)
        before = self._now.take(self._switched_at)
        self._next.take(self._switched_at)
        fade_end = self._switched_at + _FADE
        if self._now.first < self._switched_at or min(self._now.end, self._next.end) < fade_end:
            return before
        old = self._now.take(fade_end)
        new = self._next.take(fade_end)
        rise = (np.arange(_FADE) + 0.5) / _FADE
        self._now = self._next
        self._next = None
        return np.concatenate(
            [before, (1 - rise) * old + rise * new, self._now.take(self._now.end)]
        )
