# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What flows between the stages of the suite, free of ROS.

Nodes convert messages to and from these. Stamps are integer nanoseconds on one clock
(`stamp_ns`), so that an output carries exactly its input's stamp.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np

APPEARANCE_SIZE = 18  # numbers that say how a person looks, see `vision.appearance`


@dataclass(frozen=True)
class AudioChunk:
    """Consecutive samples of all microphones."""

    #: [ns] capture time of the first sample
    stamp_ns: int
    #: [Hz]
    sample_rate: int
    #: running index of the first sample; a jump is a gap
    first_sample: int
    #: (samples, channels) float32 in [-1, 1]
    samples: np.ndarray


@dataclass(frozen=True)
class AudioFeatures:
    """Inter-channel features of one analysis window, for each of K sub-bands."""

    #: [ns] center of the window
    stamp_ns: int
    #: probability that somebody speaks, in [0, 1]
    voice_activity: float
    #: (K, G) feature vectors, finite everywhere
    vectors: np.ndarray
    #: (K, G) bool, which components carry information
    present: np.ndarray
    #: (K,) mean power of the sub-band
    energy: np.ndarray
    #: (K,) bool, whether the sub-band may be used at all
    valid: np.ndarray


@dataclass(frozen=True)
class Face:
    """One detected face."""

    #: (4,) left, top, width and height [px] in the left image
    box: np.ndarray
    #: in [0, 1]
    score: float
    #: (5, 2) x, y [px] of right eye, left eye, nose, right and left mouth corner, from the
    #: person's own side
    landmarks: np.ndarray
    #: (3,) [m] head center in the left camera's optical frame, NaN where only the box is known
    position: np.ndarray
    #: (3, 3) [m^2] of `position`, NaN where only the box is known
    covariance: np.ndarray
    #: (E,) of unit norm, or (0,) when there is none
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(0))
    #: (APPEARANCE_SIZE,) colors of clothes and hair and size of the head, NaN where they do not
    #: show, or (0,) when they are not described
    appearance: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class VisualFeatures:
    """All faces of one image or image pair."""

    #: [ns] of the left image
    stamp_ns: int
    #: () when the image shows none
    faces: tuple[Face, ...] = ()


@dataclass(frozen=True)
class MouthCrop:
    """The mouth of one face in an image: upright, in the middle, as large as everybody's."""

    #: (4,) left, top, width and height [px] of the face in the left image
    box: np.ndarray
    #: (67, 67) uint8 gray, the mouth in its middle; the corners of a mouth are 36 pixels apart
    mouth: np.ndarray
    #: (34, 67) uint8 gray, the eyes at the same scale: what moves there is not the lips
    eyes: np.ndarray
    #: how far lips can be read from it, in [0, 1]
    reliability: float
    #: gap between the lips over the width of the mouth, NaN where no mesh was measured
    opening: float = float('nan')


@dataclass(frozen=True)
class MouthFrame:
    """The mouths of all faces of one image."""

    #: [ns] of the left image
    stamp_ns: int
    #: one for each face whose landmarks can be used
    mouths: tuple[MouthCrop, ...] = ()


class LifeState(IntEnum):
    """Where a track stands in its life."""

    TENTATIVE = 0
    ACTIVE = 1
    SLEEPING = 2


@dataclass(frozen=True)
class TrackEstimate:
    """What is known of one tracked person.

    Of a person who was never seen (`last_seen_ns` 0) only the direction is known: the covariance
    is long along the ray.
    """

    #: number of the track
    id: int
    #: where the track stands in its life
    state: LifeState
    #: (6,) position [m] and velocity [m/s] of the head center in the reference frame; with another
    #: state space, its state
    mean: np.ndarray
    #: (6, 6) of `mean`
    covariance: np.ndarray
    #: a face of this frame was assigned to the track
    seen: bool
    #: sound of this frame was assigned to the track
    heard: bool
    #: neither seen nor heard, so that the estimate only coasts
    predicted: bool
    #: [ns] stamp, 0 for never
    last_seen_ns: int
    #: [ns] stamp, 0 for never
    last_heard_ns: int
    #: share of the frame's sub-bands, weighted by their energy, that is the person's, in [0, 1]
    audio_responsibility: float
    #: (4,) left, top, width and height [px] of the assigned face, None when not seen
    box: np.ndarray | None = None
    #: (K,) how far each sub-band is the person's, in [0, 1]; (0,) without voice
    subband_responsibility: np.ndarray = field(default_factory=lambda: np.zeros(0))
    #: posterior probability that the person is in view, in [0, 1]
    visibility: float = 0.0


@dataclass(frozen=True)
class TrackFrame:
    """All live tracks at one moment."""

    #: [ns]
    stamp_ns: int
    #: () when nobody is tracked
    tracks: tuple[TrackEstimate, ...]
    #: the frame had sub-bands to assign: voice was detected
    voice_active: bool


@dataclass(frozen=True)
class SpeakingStatus:
    """Whether one tracked person speaks."""

    #: of the track
    id: int
    #: decided with hysteresis
    speaking: bool
    #: that the person speaks, in [0, 1]
    probability: float
    #: [ns] stamp of the last change of `speaking`
    since_ns: int


@dataclass(frozen=True)
class SpeakingFrame:
    """The speaking status of every live track at one moment."""

    #: [ns]
    stamp_ns: int
    #: one for each track
    statuses: tuple[SpeakingStatus, ...]


class AttentionReason(Enum):
    """Why somebody is looked at."""

    SPEAKS_TO_ME = 'speaks to me'
    SPEAKS = 'speaks'
    HEARD = 'is heard out of view'
    #: silent now, and nobody else speaks
    SPOKE = 'spoke'
    ARRIVED = 'arrived'
    NOBODY = 'nobody'


@dataclass(frozen=True)
class Attention:
    """Whom to look at, at one moment."""

    #: [ns] of the tracks
    stamp_ns: int
    #: why; NOBODY: there is no one to look at
    reason: AttentionReason
    #: of the track, -1 for nobody
    id: int = -1
    #: (3,) [m] in the reference frame, None for nobody
    target: np.ndarray | None = None
    #: [ns] stamp at which the look at this person began, 0 for nobody
    since_ns: int = 0


@dataclass(frozen=True)
class HeadPoseEstimate:
    """How the head of one tracked person is turned, and whom the person faces.

    Unknown is unknown: without a rotation nothing is claimed, neither yes nor no.
    """

    #: of the track
    id: int
    #: (3, 3) reference_from_head, head: x out of the face, y to the person's left, z up; None when
    #: not known
    rotation: np.ndarray | None = None
    #: (3, 3) [rad^2] of a small rotation about the axes of the reference frame, NaN when not known
    covariance: np.ndarray = field(default_factory=lambda: np.full((3, 3), np.nan))
    #: [ns] stamp of the last image that showed the head well enough, 0 for never
    last_measured_ns: int = 0
    #: that the face is turned to the robot, in [0, 1]; NaN when not known
    facing_probability: float = float('nan')
    #: the same with hysteresis, False when not known
    facing: bool = False
    #: [ns] stamp of the last change of `facing`
    since_ns: int = 0
    #: probabilities, in [0, 1], that the face is turned to other tracked people, by their ids
    others: dict[int, float] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether there is an orientation."""
        return self.rotation is not None


@dataclass(frozen=True)
class HeadPoseFrame:
    """The head poses of every live track at one moment."""

    #: [ns]
    stamp_ns: int
    #: one for each track that is awake, known or not
    heads: tuple[HeadPoseEstimate, ...]

    @property
    def facing_ids(self) -> tuple[int, ...]:
        """Ids of who faces the robot, the likeliest first."""
        facing = [head for head in self.heads if head.facing]
        return tuple(h.id for h in sorted(facing, key=lambda h: -h.facing_probability))


@dataclass(frozen=True)
class MotionForecast:
    """Where one tracked person will probably be, at every horizon."""

    #: of the track
    id: int
    #: what forecast this person
    method: str
    #: (H, 3) [m] means of the head's place in the reference frame
    means: np.ndarray
    #: (H, 3, 3) [m^2] of the means
    covariances: np.ndarray
    #: (S, H, 3) [m] possible walks
    samples: np.ndarray
    #: (H, 2) how many standard deviations away, on the ground, the truth lies at most in 68 and in
    #: 95 % of cases
    radii: np.ndarray
    #: why it is not the method asked for, '' when it is
    fallback_reason: str = ''


@dataclass(frozen=True)
class MotionForecastFrame:
    """Where everybody who is tracked will probably be."""

    #: [ns] of the newest tracks
    stamp_ns: int
    #: (H,) [s] after the stamp, growing
    horizons_s: np.ndarray
    #: one for each track that is awake and whose place is known
    forecasts: tuple[MotionForecast, ...]
