# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What flows between the stages of the suite, free of ROS: nodes convert messages to and from these.

Stamps are integer nanoseconds on one clock (`stamp_ns`), so that an output carries exactly its input's stamp.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


@dataclass(frozen=True)
class AudioChunk:
    """Consecutive samples of all microphones.

    stamp_ns: capture time of the first sample; first_sample: running index of the first sample (a jump is a gap);
    samples: (samples, channels) float32 in [-1, 1].
    """

    stamp_ns: int
    sample_rate: int
    first_sample: int
    samples: np.ndarray


@dataclass(frozen=True)
class AudioFeatures:
    """Inter-channel features of one analysis window, per sub-band.

    stamp_ns: centre of the window; voice_activity: probability in [0, 1]; vectors: (K, G) feature vectors (finite
    everywhere); present: (K, G) bool, which components carry information; energy: (K,) mean power of the sub-band;
    valid: (K,) bool, whether the sub-band may be used at all.
    """

    stamp_ns: int
    voice_activity: float
    vectors: np.ndarray
    present: np.ndarray
    energy: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Face:
    """One detected face.

    box: (4,) x, y (top left corner), width, height in pixels of the left image; score in [0, 1]; landmarks: (5, 2) pixels
    (right eye, left eye, nose, right and left mouth corner, from the person's own side); position: (3,) metres and covariance: (3, 3) m^2 of the
    head centre in the left camera's optical frame, NaN where only the box is known; embedding: (E,) unit norm, or (0,) when there is none.
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray
    position: np.ndarray
    covariance: np.ndarray
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class VisualFeatures:
    """All faces of one image pair; stamp_ns: the left image's."""

    stamp_ns: int
    faces: tuple[Face, ...] = ()


class LifeState(IntEnum):
    """Where a track stands in its life."""

    TENTATIVE = 0
    ACTIVE = 1
    SLEEPING = 2


@dataclass(frozen=True)
class TrackEstimate:
    """One person.

    mean: (6,) position [m] and velocity [m/s] of the head centre in the reference frame (with another state space, its state);
    covariance: (6, 6);
    seen / heard: an observation of this frame was assigned to the track; predicted: neither, so the estimate only coasts;
    last_seen_ns / last_heard_ns: stamps, 0 for never; audio_responsibility: share of the frame's sub-bands (weighted by energy) that belong
    to the person, in [0, 1]; box: (4,) pixels of the assigned face, None when not seen; subband_responsibility: (K,) how far each
    sub-band is the person's, in [0, 1], empty without voice; visibility: posterior probability that the person is in view, in [0, 1].

    Of a person who was never seen (last_seen_ns 0) only the direction is known: the covariance is long along the ray.
    """

    id: int
    state: LifeState
    mean: np.ndarray
    covariance: np.ndarray
    seen: bool
    heard: bool
    predicted: bool
    last_seen_ns: int
    last_heard_ns: int
    audio_responsibility: float
    box: np.ndarray | None = None
    subband_responsibility: np.ndarray = field(default_factory=lambda: np.zeros(0))
    visibility: float = 0.0


@dataclass(frozen=True)
class TrackFrame:
    """All live people at one stamp. voice_active: the frame had sub-bands to assign (voice detected)."""

    stamp_ns: int
    tracks: tuple[TrackEstimate, ...]
    voice_active: bool


@dataclass(frozen=True)
class SpeakingStatus:
    """Whether one person speaks. speaking: with hysteresis; probability in [0, 1]; since_ns: stamp of the last change of `speaking`."""

    id: int
    speaking: bool
    probability: float
    since_ns: int


@dataclass(frozen=True)
class SpeakingFrame:
    """The speaking status of every live person at one stamp."""

    stamp_ns: int
    statuses: tuple[SpeakingStatus, ...]
