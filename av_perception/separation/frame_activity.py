# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks in every group of frames: for masks, which cannot wait and must not stick.

The chain over subsets of `diarization/joint_activity`, on the frames of the masks. It is fed with
bins of all frequencies, since those above the band of the blocks tell apart people who stand close
together, and it changes sooner than who "is speaking": whom it gives the sound of another loses
both. Only bins count that are above the noise and rise: what decays is reverberation. Somebody for
whom no track stands takes part, less readily than those who are tracked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import DirectionLikelihood
from av_perception.audio.sub_bands import NoiseFloor
from av_perception.diarization.joint_activity import JointActivity
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.separation.person_masks import HeardFrames
from av_perception.separation.untracked_voice import UNTRACKED


def _quick_chain() -> JointActivityConfig:
    """Costs and limits are those of a group of 16 ms."""
    return JointActivityConfig(
        start=0.1,
        stop=0.1,
        evidence_weight=0.3,
        speaker_cost=0.15,
        silence_limit=1.2,
        voice_limit=0.2,
        quiet_cost=0.6,
        evidence_limit=4.0,
        voiceless_s=math.inf,  # masks share out whatever sounds
        usual_bins=0.0,  # groups are shorter than blocks, and their bins are others
    )


@dataclass(frozen=True)
class FrameActivityConfig:
    """The chain, and which bins count."""

    #: Start and stop per 40 ms, all costs and limits per group of frames (16 ms).
    chain: JointActivityConfig = field(default_factory=_quick_chain)
    #: Power above the noise floor from which a bin counts [dB].
    min_snr_db: float = 6.0
    #: Groups of frames over which the noise floor is the least power.
    noise_groups: int = 125
    #: Cost of somebody for whom no track stands, beside that of a speaker [nat per group].
    untracked_cost: float = 0.15

    def __post_init__(self):
        if self.noise_groups < 1:
            raise ValueError(f'noise_groups must be at least 1, not {self.noise_groups}')
        if not self.untracked_cost >= 0:
            raise ValueError(f'untracked_cost must not be negative, but is {self.untracked_cost}')


class FrameActivity:
    """Recursive over groups of frames.

    Parameters
    ----------
    likelihood
        Of the frames.
    window
        Length of their windows [samples].
    config
        See `FrameActivityConfig`.
    """

    def __init__(
        self,
        likelihood: DirectionLikelihood,
        window: int,
        config: FrameActivityConfig | None = None,
    ):
        self.config = config or FrameActivityConfig()
        self._window = window
        self._joint = JointActivity(likelihood, self.config.chain)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._joint.reset()
        self._floor: NoiseFloor | None = None

    def update(
        self, stamp_ns: int, heard: HeardFrames, voice_activity: float | None
    ) -> dict[int, float]:
        """Take the next frames.

        Parameters
        ----------
        stamp_ns
            Of their middle.
        heard
            Frames and the people in them.
        voice_activity
            Probability that anybody speaks, None where nobody knows.

        Returns
        -------
        dict of int to float
            Probability of speaking, by id.
        """
        if not heard.ids:
            return {}
        ratios = heard.mean_ratios(self._counting(heard))
        cost = {UNTRACKED: -self.config.untracked_cost}
        return self._joint.probabilities(stamp_ns, ratios, heard.ids, voice_activity, cost)

    def _counting(self, heard: HeardFrames) -> np.ndarray:
        """(T, K) bool: which bins are above the noise and rise."""
        loudness = heard.loudness
        if self._floor is None:
            self._floor = NoiseFloor(loudness.shape[1], self.config.noise_groups, self._window)
        floor = self._floor.update(loudness.mean(axis=0))
        return (loudness > 10 ** (0.1 * self.config.min_snr_db) * floor) & heard.rising
