# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of a head's own motors, kept apart from voices.

Fast motors drown everything: there is nothing to hear. Slow ones are quieter than speech, but come
from as many directions as their way through the head makes them: whoever stands there would seem
to speak. The head knows when it turns. What it hears then and is no voice is its motors', and
tells how loud they are in every bin; of a voice, only what is louder counts.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from av_perception.audio.direction_bins import BinBlock
from av_perception.interfaces import AudioFeatures
from av_perception.synchronization.ego_motion import EgoMotion

_VOICE = 0.3  # probability of voice from which a block is heard while the head turns
_RATIO = 2.0  # power over that of the motors from which a bin is not theirs: 3 dB
_LEARNING = 0.1  # weight of a block; ten are 0.4 s of motors


class OwnMotors:
    """Takes what is the motors' out of the blocks of one head.

    Parameters
    ----------
    motion
        Tells when the head turns.
    """

    def __init__(self, motion: EgoMotion):
        self._motion = motion
        self._log_power = np.zeros(0)  # of the motors in each bin, NaN for one not yet heard

    def removed_from_frame(
        self, stamp_ns: int, audio: AudioFeatures | None, blocks: list[BinBlock] | None
    ) -> tuple[AudioFeatures | None, list[BinBlock] | None, bool]:
        """Return what is left of the sound of a frame, and whether it was drowned."""
        if self._motion.is_ego_noise(stamp_ns):
            return None, [], audio is not None or bool(blocks)
        if audio is not None and self._is_motor(stamp_ns, audio.voice_activity):
            audio = None
        if blocks is not None:
            blocks = [self.removed_from(block) for block in blocks]
        return audio, blocks, False

    def removed_from(self, block: BinBlock) -> BinBlock:
        """Return a block without its motors.

        Parameters
        ----------
        block
            As heard.

        Returns
        -------
        BinBlock
            The same while the head stands; without bins and voice where nothing but motors is
            heard.
        """
        if self._motion.is_ego_noise(block.stamp_ns):
            return block.emptied()
        if block.voice_activity is None or not self._motion.is_turning(block.stamp_ns):
            return block
        self._make_room(block.bins)
        if self._is_motor(block.stamp_ns, block.voice_activity):
            self._learn(block)
            return block.emptied()
        # Bins of which nothing is known yet are kept: comparisons with NaN are false.
        is_motor = np.log(block.power) <= self._log_power[block.bins] + np.log(_RATIO)
        return _with_rows(block, ~is_motor)

    def _is_motor(self, stamp_ns: int, voice_activity: float) -> bool:
        """Whether sound without voice is taken for that of motors, which turn."""
        return voice_activity < _VOICE and self._motion.is_turning(stamp_ns)

    def _make_room(self, bins: np.ndarray) -> None:
        missing = int(bins.max(initial=-1)) + 1 - len(self._log_power)
        if missing > 0:
            self._log_power = np.append(self._log_power, np.full(missing, np.nan))

    def _learn(self, block: BinBlock) -> None:
        """Average logarithms: the first syllable, before the voice is noticed, weighs little."""
        heard = np.log(np.maximum(block.power, np.finfo(np.float32).tiny))
        before = self._log_power[block.bins]
        before = np.where(np.isnan(before), heard, before)
        self._log_power[block.bins] = before + _LEARNING * (heard - before)


def _with_rows(block: BinBlock, kept: np.ndarray) -> BinBlock:
    """Return a block with some of its rows, (R,) bool."""
    return dataclasses.replace(
        block,
        bins=block.bins[kept],
        unit=block.unit[kept],
        kept=block.kept[kept],
        power=block.power[kept],
    )
