# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The content of `recording.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.robot_head.plausibility import check_sample_rate


@dataclass(frozen=True)
class RecordingInfo:
    """The content of `recording.yaml`; times are in seconds on one clock."""

    #: name of a head profile, an absolute path, or the path of a file in the recording's folder
    head: str
    #: [Hz] of the sound, 8000 to 192000; none: there is no sound
    sample_rate: int | None = None
    #: [s] time of sample 0
    audio_start: float = 0.0
    #: [Hz] of the images, above 0 and up to 1000; none: there are no images
    frame_rate: float | None = None
    #: [s] time of image 0; none: that of sample 0
    video_start: float | None = None
    #: whatever the maker of the recording wants to remember
    origin: dict | None = None

    def __post_init__(self):
        if self.sample_rate is not None:
            check_sample_rate(self.sample_rate)
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise ValueError(f'frame_rate must lie in 0..1000 Hz, not {self.frame_rate}')
        for name in ('audio_start', 'video_start'):
            if not np.isfinite(getattr(self, name) or 0.0):
                raise ValueError(f'{name} must be finite, in seconds')
