# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of a head in, blocks of direction bins out, for all who judge them.

Who births by sound, who speaks: they get the same blocks and the same likelihood.
"""

from __future__ import annotations

from collections import Counter

from av_perception.audio.direction_bins import (
    BinBlock,
    DirectionBins,
    DirectionBinsConfig,
    DirectionLikelihood,
)
from av_perception.audio.steering import GeometricSteering, Steering
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray

_DEFAULT = DirectionBinsConfig()


def direction_likelihood(
    array: MicrophoneArray,
    config: DirectionBinsConfig = _DEFAULT,
    steering: Steering | None = None,
) -> DirectionLikelihood:
    """Make the likelihood of directions for the bins of an array.

    Parameters
    ----------
    array
        Microphones of the head.
    config
        Tells the frequencies of the bins.
    steering
        How sound arrives; None takes the geometry of the head.

    Raises
    ------
    UserError
        When the array has fewer than 2 or more than 16 microphones.
    """
    return DirectionLikelihood(steering or GeometricSteering(array), config.frequencies)


class BinStream:
    """Turns chunks into blocks; another sample rate (another device) starts it afresh.

    `counters` tells what was wrong with the sound.

    Parameters
    ----------
    likelihood
        Of `direction_likelihood`.
    sample_rate
        Of the chunks to come [Hz].
    config
        The same as that of the likelihood.
    """

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        sample_rate: int,
        config: DirectionBinsConfig = _DEFAULT,
    ):
        self._config, self._likelihood = config, likelihood
        self._earlier: Counter[str] = Counter()
        self._start(sample_rate)

    def _start(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._bins = DirectionBins(self._config, self._likelihood, sample_rate)

    @property
    def counters(self) -> Counter[str]:
        """What was wrong so far, by reason."""
        return self._earlier + self._bins.counters

    def change_rate(self, sample_rate: int) -> None:
        """Start afresh with sound of another rate [Hz]."""
        self._earlier = self.counters
        self._start(sample_rate)

    def push(self, chunk: AudioChunk) -> list[BinBlock]:
        """Return the blocks that a chunk completes, oldest first."""
        return self._bins.push(chunk)
