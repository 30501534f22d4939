# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether voices come when lips move, and if not: how much later or earlier.

A driver that stamps its sound on arrival, behind a buffer of 300 ms, gives no sign of it: stamps
rise steadily and are as old on arrival as they should be. But lips that are seen to move while the
voice is still silent tell. With x the motion of a mouth and p the probability that its person
speaks by sound, the lag is the center of the peak of

    c(l) = sum x(t + l) p(t) / sqrt(sum x(t + l)^2 sum p(t)^2),

summed over people and time, x and p without their means. A mouth that is a photograph's, or that
chews, makes no peak.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from av_perception.geometry.time import NANOSECONDS, seconds

REMEMBERED_S = 60.0
STEP_S = 0.04
LONGEST_LAG_S = 1.2
LOOK_EVERY_S = 2.0
LEAST_S = 8.0  # of speech, and of silence, with a mouth in view
LEAST_PEAK = 0.3  # correlation; photographs reach 0.1
LEAST_RISE = 0.03  # of the peak above the correlation as the stamps are
OF_PEAK = 0.8  # the center is that of all lags with so much of the peak
TOLD_S = 0.22  # with right stamps it is up to 0.1: people differ, and so do their pauses
USUAL_LAG_S = -0.02  # with right stamps
_START_ANEW_S = 1.0
_SPEAKS = 0.5

_STEPS = round(LONGEST_LAG_S / STEP_S)
_LAGS_S = STEP_S * np.arange(-_STEPS, _STEPS + 1)
_SIZE = round(REMEMBERED_S / STEP_S)


class VoiceLag:
    """Remembers motion of mouths and voices of the last minute, by track.

    Attributes
    ----------
    lag_s
        How much later than the stamps of the sound the lips move that belong to it [s]; below 0
        where sound is stamped too late. 0 where nobody knows, or by less than TOLD_S.
    """

    def __init__(self) -> None:
        self._motion: dict[int, deque[tuple[int, float]]] = {}
        self._voice: dict[int, deque[tuple[int, float]]] = {}
        self._newest_ns: int | None = None
        self._looked_ns = 0
        self.lag_s = 0.0

    def note_motion(self, stamp_ns: int, motions: Mapping[int, float]) -> None:
        """Take how much the mouths of an image move, by id of the track."""
        for key, value in motions.items():
            motion = self._motion.setdefault(key, deque(maxlen=_SIZE))
            if motion and stamp_ns <= motion[-1][0]:  # images begin anew before the sound does
                motion.clear()
                self._voice.pop(key, None)
            motion.append((stamp_ns, value))

    def note_voices(self, stamp_ns: int, voices: Mapping[int, float]) -> bool:
        """Take the probabilities that people speak in a block of sound, by id of the track.

        Returns whether this was the moment to look how they lie to the lips.
        """
        if self._newest_ns is None:
            self._looked_ns = stamp_ns
        elif seconds(stamp_ns - self._newest_ns) < -_START_ANEW_S:
            self._motion.clear()
            self._voice.clear()
            self._looked_ns = stamp_ns
        self._newest_ns = stamp_ns
        for key in voices.keys() & self._motion.keys():
            self._voice.setdefault(key, deque(maxlen=_SIZE)).append((stamp_ns, voices[key]))
        if seconds(stamp_ns - self._looked_ns) < LOOK_EVERY_S:
            return False
        self._looked_ns = stamp_ns
        self._forget_before(stamp_ns - round(REMEMBERED_S * NANOSECONDS))
        self.lag_s = self._find_lag()
        return True

    @property
    def problem(self) -> str:
        """A sentence when lips and voices are apart, else ''."""
        if self.lag_s == 0.0:
            return ''
        apart_s = abs(self.lag_s)
        if self.lag_s < 0:
            return (
                f'voices come {apart_s:.2f} s after their lips: the sound is stamped too late by '
                f"so much; raise the microphones' latency_ms by {1000 * apart_s:.0f}, or lower "
                'audio_start of the recording'
            )
        return (
            f'voices come {apart_s:.2f} s before their lips: the images are stamped too late by '
            "so much, or the sound too early; correct the camera's stamps, lower the microphones' "
            'latency_ms, or lower video_start of the recording'
        )

    def _forget_before(self, stamp_ns: int) -> None:
        """Forget who has not been seen since a stamp."""
        for key in [k for k, motion in self._motion.items() if motion[-1][0] < stamp_ns]:
            del self._motion[key]
            self._voice.pop(key, None)

    def _find_lag(self) -> float:
        """Find the center of the peak; 0 where there is none, or a small one."""
        sums = np.zeros((3, len(_LAGS_S)))
        speech_s = 0.0
        silence_s = 0.0
        for key, voice in self._voice.items():
            one = _products(np.array(self._motion[key], float), np.array(voice, float))
            if one is None:
                continue
            sums += one[0]
            speech_s += one[1]
            silence_s += one[2]
        if min(speech_s, silence_s) < LEAST_S:
            return 0.0
        correlation = sums[0] / np.sqrt(np.maximum(sums[1] * sums[2], 1e-12))
        peak = float(correlation.max())
        broad = correlation >= OF_PEAK * peak
        if peak < LEAST_PEAK or broad[0] or broad[-1]:
            return 0.0
        weight = broad * correlation
        lag_s = float((_LAGS_S * weight).sum() / weight.sum()) - USUAL_LAG_S
        rise = peak - correlation[_STEPS]
        return lag_s if abs(lag_s) >= TOLD_S and rise >= LEAST_RISE else 0.0


def _products(motion: np.ndarray, voice: np.ndarray) -> tuple[np.ndarray, float, float] | None:
    """Sum x p, x x and p p (3, L) by lag, and seconds of speech and silence; None of too little.

    motion, voice: (N, 2) stamps [ns] and values.
    """
    start_ns = motion[0, 0]
    moved_s = (motion[:, 0] - start_ns) / NANOSECONDS
    heard_s = (voice[:, 0] - start_ns) / NANOSECONDS
    # The same moments of sound for all lags: where lips were seen before and after.
    inside = (heard_s >= LONGEST_LAG_S) & (heard_s <= moved_s[-1] - LONGEST_LAG_S)
    if np.count_nonzero(inside) < 2:
        return None
    heard_s = heard_s[inside]
    speaks = voice[inside, 1]
    at = np.interp(heard_s + _LAGS_S[:, None], moved_s, motion[:, 1])  # (L, T)
    at -= at.mean(axis=1, keepdims=True)
    centered = speaks - speaks.mean()
    square = np.full(len(_LAGS_S), centered @ centered)
    sums = np.stack([at @ centered, (at**2).sum(axis=1), square])
    speech_s = STEP_S * float(np.count_nonzero(speaks > _SPEAKS))
    return sums, speech_s, STEP_S * len(speaks) - speech_s
