# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the policy that decides whom to look at."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionConfig:
    """When somebody is worth a look, and when the look moves on. Raises ValueError."""

    #: Probability of speaking from which a frame counts as speech.
    speech_threshold: float = 0.6
    #: Speech of so many seconds draws the look; a cough does not. It fades as fast as it grows.
    min_speech_s: float = 0.24
    #: So much of it somebody starts with who was just found, or found again, by voice alone, in
    #: seconds: that took speech.
    found_by_voice_s: float = 0.2
    #: Silence of so many seconds makes a speaker yield to who speaks by then.
    yield_s: float = 0.12
    #: A look lasts at least so many seconds, unless the person is gone.
    min_dwell_s: float = 0.8
    #: Who spoke is looked at until nobody has spoken for so many seconds.
    hold_s: float = 8.0
    #: The same for who can neither be seen nor heard any more.
    lost_s: float = 2.0
    #: Who comes into view for the first time is looked at for so many seconds; 0 looks at no
    #: newcomer.
    arrival_s: float = 1.5
    #: Newcomers draw a look once the person looked at has been silent for so many seconds.
    quiet_s: float = 2.0
    #: Probability that a face is turned to the robot from which the person speaks to it.
    facing_threshold: float = 0.5
    #: A new id no farther than this from the person looked at, whose id is gone, is that person,
    #: in degrees as the head sees it.
    same_place_deg: float = 12.0
    #: How far heads lie above or below the robot's: of who is only heard the height is hardly
    #: known, and is drawn to the robot's own, in degrees (standard deviation).
    elevation_sd_deg: float = 10.0
    #: A gap of the input by more makes all speech so far count for nothing, in seconds.
    max_gap_s: float = 1.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if not (math.isfinite(getattr(self, field.name)) and getattr(self, field.name) >= 0):
                raise ValueError(f'{field.name} must be a number that is not negative')
        for name in ('speech_threshold', 'facing_threshold'):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie in (0, 1]')
        for name in ('min_speech_s', 'hold_s', 'max_gap_s', 'elevation_sd_deg'):
            if getattr(self, name) == 0:
                raise ValueError(f'{name} must be positive')
        if self.found_by_voice_s >= self.min_speech_s:
            raise ValueError('found_by_voice_s must be less than min_speech_s')
