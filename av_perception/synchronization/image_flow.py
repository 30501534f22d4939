# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How many images may be under way to another machine, so that none is old when it arrives.

A network that is slower than the cameras would queue images in its buffers, and sound behind them,
until everything is late by seconds. The receiver says which images have come; when even the
quickest of the last few took longer than usual, they have waited in such a queue (a single one may
have waited for a lost packet). So many are let go that the queue stays short, as TCP Vegas does
(Brakmo and Peterson 1995); an image that may not go is left out, and the next one is fresh.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFlowConfig:
    """When images are left out."""

    #: So much longer than the quickest of late may an image take before fewer are let go [s].
    excess_s: float = 0.1
    #: By so much more than the quickest of late may it take before it is taken for lost [s].
    patience_s: float = 0.3
    #: Where nothing has come for so long, two at a time are tried: one may be lost again [s].
    silent_after_s: float = 0.5
    #: So many are under way at most: the time from image to answer, in images.
    most: float = 5.0
    #: By so much that number grows with each image that came soon.
    growth: float = 0.35
    #: What remains of that number when all of the last few came late.
    shrinkage: float = 0.7
    #: The last few.
    recent: int = 4
    #: The quickest is looked for among so many.
    memory: int = 250

    def __post_init__(self):
        if not (self.excess_s > 0 and self.growth > 0):
            raise ValueError('excess_s and growth must be positive')
        if not (self.patience_s >= self.excess_s and self.silent_after_s > 0):
            raise ValueError('patience_s must be at least excess_s, silent_after_s positive')
        if not (self.most >= 1 and self.memory >= self.recent >= 1 and 0 < self.shrinkage < 1):
            raise ValueError(
                'most and recent must be at least 1, memory no less, shrinkage between 0 and 1'
            )


class ImageFlow:
    """Says which images go. Times are of the sender's clock [s]; it may be set.

    Attributes
    ----------
    window : float
        How many may be under way.
    """

    def __init__(self, config: ImageFlowConfig | None = None):
        """Start with one at a time."""
        self._config = config or ImageFlowConfig()
        self.window = 1.0
        self._is_starting = False  # after a silence: twice as many each time, until one is late
        self._under_way: deque[tuple[int, float]] = deque()  # stamp [ns], when it was sent [s]
        self._delays_s: deque[float] = deque(maxlen=self._config.memory)
        self._recent_s: deque[float] = deque(maxlen=self._config.recent)
        self._last_s: float | None = None  # when the last one came, or the first was sent

    def may_send(self, stamp_ns: int, now_s: float) -> bool:
        """Whether the image of a stamp goes now; if so it is under way."""
        if self._last_s is None or now_s < self._last_s:
            self._last_s = now_s
            self._under_way.clear()  # of a clock that was set back since
        patience_s = self._config.silent_after_s
        if self._delays_s:
            patience_s = min(self._delays_s) + self._config.patience_s
        while self._under_way and now_s - self._under_way[0][1] > patience_s:
            self._under_way.popleft()
        if now_s - self._last_s > self._config.silent_after_s:
            self.window = 2.0
            self._is_starting = True
        if len(self._under_way) >= int(self.window):
            return False
        self._under_way.append((stamp_ns, now_s))
        return True

    def received(self, stamp_ns: int, now_s: float) -> None:
        """Note that the image of a stamp has come; what was sent before it is not waited for."""
        if stamp_ns not in {stamp for stamp, _ in self._under_way}:
            return  # too late, or another sender's
        self._last_s = now_s
        while True:
            stamp, sent_s = self._under_way.popleft()
            if stamp == stamp_ns:
                break
        self._delays_s.append(now_s - sent_s)
        self._recent_s.append(now_s - sent_s)
        late_s = min(self._delays_s) + self._config.excess_s
        is_full = len(self._recent_s) == self._config.recent
        if is_full and min(self._recent_s) > late_s:
            self.window = max(1.0, self._config.shrinkage * self.window)
            self._recent_s.clear()  # what follows shows what it helped
            self._is_starting = False
        elif self._delays_s[-1] <= late_s:
            growth = self.window if self._is_starting else self._config.growth
            self.window = min(self._config.most, self.window + growth)

    def reason(self, now_s: float) -> str:
        """Say why images are left out."""
        silent_s = 0.0 if self._last_s is None else now_s - self._last_s
        if silent_s > 2 * self._config.silent_after_s:
            return f'none has arrived for {silent_s:.1f} s: is the network down?'
        if not self._delays_s:
            return 'none has arrived yet'
        return (
            f'the network is slower than the camera, an image takes '
            f'{1e3 * self._delays_s[-1]:.0f} ms: lower jpeg_quality'
        )
