# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether lips say that a person speaks: learnt for each person, and nothing until it is proved.

Motion of a mouth x is compared with the person's own sound: two Gaussians of one variance, learnt
from moments in which the sound is sure, give the log likelihood ratio
`l = (m1 - m0) / v (x - (m1 + m0) / 2)` of speaking to silent. It is believed while it foretells
the sound better than the share of time that the person speaks does (gain in log probability, a
running mean), after at least two turns and where mouths move more in speech. A photograph's mouth
foretells nothing, and its evidence is exactly 0; so it is with a mouth that chews.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import MouthFrame, TrackFrame
from av_perception.lips.mouth_motion import MouthMotion
from av_perception.lips.mouth_tracks import mouths_of_tracks

_BLOCK_S = 0.04
_START_ANEW_S = 1.0
_SURE = 0.85  # probability of speaking, or of silence, from which on the sound teaches
_LEAST_VARIANCE = 0.04
_KEPT = 16  # images: longer than sound is later than they are
_LONGEST_RATIO = 3.0  # [nat] of what is foretold: one surprise is one


@dataclass(frozen=True)
class VisualActivityConfig:
    """When lips are believed, and how far."""

    #: [s] what was learnt is forgotten with this time constant, of speech and of silence apart
    memory_s: float = 20.0
    #: how far speech and silence must be apart, in standard deviations
    least_separation: float = 0.8
    #: turns of speech after which lips can be believed
    least_turns: int = 2
    #: [s] of speech, and of silence, that must have been seen
    least_seen_s: float = 1.0
    #: [nat per block] gain from which on lips are believed, of about the last 6 s
    trust_gain: float = 0.06
    #: [s] of the running mean of the gain
    gain_memory_s: float = 6.0
    #: [s] of a shorter mean: when it falls below 0 lips are no longer believed
    doubt_memory_s: float = 1.5
    #: evidence counts by this factor: neighboring images say nearly the same
    weight: float = 0.4
    #: [nat] largest evidence of one block that somebody speaks: lips close after the voice
    speech_limit: float = 0.4
    #: [nat] largest evidence of one block that somebody is silent
    silence_limit: float = 1.2
    #: [s] an image so much older than a block says nothing about it
    longest_age_s: float = 0.06
    #: reliability of a crop from which on its motion is looked at
    least_reliability: float = 0.3

    def __post_init__(self):
        times = (self.memory_s, self.gain_memory_s, self.doubt_memory_s, self.longest_age_s)
        if not min(times) > 0:
            raise ValueError('times of visual activity must be positive')
        if min(self.least_separation, self.weight, self.speech_limit, self.silence_limit) < 0:
            raise ValueError('limits of visual activity must not be negative')
        if self.least_turns < 1:
            raise ValueError(f'least_turns must be at least 1, not {self.least_turns}')


@dataclass
class _Moments:
    """Weight, mean and mean square deviation of motion; weight counts blocks."""

    weight: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    count: float = 0.0  # blocks ever

    def add(self, value: float, keep: float) -> None:
        """Take a value after forgetting by a factor."""
        self.weight = self.weight * keep + 1.0
        self.count += 1.0
        step = (value - self.mean) / self.weight
        self.variance += ((value - self.mean) * (value - self.mean - step) - self.variance) / (
            self.weight
        )
        self.mean += step


@dataclass
class _Lips:
    """What is known of one person's lips."""

    motion: MouthMotion = field(default_factory=MouthMotion)
    kind: str = ''
    # Stamp of an image [ns], motion, reliability; the oldest go.
    seen: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    silence: _Moments = field(default_factory=_Moments)
    speech: _Moments = field(default_factory=_Moments)
    heard: float = 0.5  # probability of speaking by sound alone
    was_speaking: bool = False
    turns: int = 0
    gain: float = 0.0
    late_gain: float = 0.0
    believed: bool = False

    def start_learning(self, kind: str) -> None:
        """Begin anew with another measure of motion."""
        self.kind = kind
        self.seen.clear()
        self.silence = _Moments()
        self.speech = _Moments()
        self.turns = 0
        self.gain = 0.0
        self.late_gain = 0.0
        self.believed = False


class VisualActivity:
    """Evidence of lips for the blocks of sound, by track.

    `config` may be replaced at any time.

    Parameters
    ----------
    config
        See there.
    start, stop
        Probabilities per block that somebody starts and stops to speak.
    """

    def __init__(
        self,
        config: VisualActivityConfig | None = None,
        start: float = 0.008,
        stop: float = 0.012,
    ):
        self.config = config or VisualActivityConfig()
        self._start = start
        self._stop = stop
        self._people: dict[int, _Lips] = {}
        self._newest_ns = 0

    @property
    def believed(self) -> tuple[int, ...]:
        """Ids of those whose lips count at present."""
        return tuple(sorted(i for i, lips in self._people.items() if lips.believed))

    def watch(self, tracks: TrackFrame, mouths: MouthFrame | None) -> dict[int, float]:
        """Take the tracks of an image and the mouths in it, None where there are none.

        Whose track is gone is forgotten. Returns how much each mouth moves, by id.
        """
        moving: dict[int, float] = {}
        if seconds(tracks.stamp_ns - self._newest_ns) < -_START_ANEW_S:
            self._people.clear()
        self._newest_ns = tracks.stamp_ns
        ids = {track.id for track in tracks.tracks}
        self._people = {i: self._people.get(i) or _Lips() for i in sorted(ids)}
        if mouths is None:
            return moving
        for key, crop in mouths_of_tracks(tracks, mouths).items():
            if crop.reliability < self.config.least_reliability:
                continue
            lips = self._people[key]
            motion = lips.motion.update(mouths.stamp_ns, crop)
            if motion is None or not np.isfinite(motion.value):
                continue
            if motion.kind != lips.kind:
                lips.start_learning(motion.kind)
            lips.seen.append((mouths.stamp_ns, motion.value, crop.reliability))
            moving[key] = motion.value
        return moving

    def evidence(self, stamp_ns: int) -> dict[int, float]:
        """Log likelihood ratio of speaking to silent by id, for the block at a stamp [nat].

        Exactly 0 of whom is not believed, or was not seen just now; those are left out.
        """
        config = self.config
        found = {}
        for key, lips in self._people.items():
            seen = self._seen_at(lips, stamp_ns) if lips.believed else None
            if seen is not None:
                value, reliability = seen
                ratio = config.weight * reliability * _ratio(lips, value)
                found[key] = float(np.clip(ratio, -config.silence_limit, config.speech_limit))
        return found

    def learn(self, stamp_ns: int, of_sound: Mapping[int, float]) -> None:
        """Compare with the sound of a block, after its evidence was given.

        Parameters
        ----------
        stamp_ns
            [ns] center of the block.
        of_sound
            Log likelihood ratio of speaking to silent by sound alone, by id [nat].
        """
        for key, ratio in of_sound.items():
            lips = self._people.get(key)
            if lips is not None:
                self._hear(lips, ratio)
                seen = self._seen_at(lips, stamp_ns)
                if seen is not None:
                    self._compare(lips, seen[0])

    def _seen_at(self, lips: _Lips, stamp_ns: int) -> tuple[float, float] | None:
        """Motion and reliability in the first image from a stamp on, or the last one before it.

        Lips move before the voice sounds. None where both are too far away.
        """
        found = None
        for image_ns, value, reliability in lips.seen:
            if abs(seconds(image_ns - stamp_ns)) <= self.config.longest_age_s:
                found = (value, reliability)
                if image_ns >= stamp_ns:
                    break
        return found

    def _hear(self, lips: _Lips, ratio: float) -> None:
        """Step the chain of one person on sound alone."""
        prior = lips.heard * (1 - self._stop) + (1 - lips.heard) * self._start
        odds = prior / (1 - prior) * np.exp(np.clip(ratio, -8.0, 8.0))
        lips.heard = float(np.clip(odds / (1 + odds), 1e-4, 1 - 1e-4))
        if lips.was_speaking and lips.heard < 1 - _SURE:
            lips.was_speaking = False
            lips.turns += 1
        elif lips.heard > _SURE:
            lips.was_speaking = True

    def _compare(self, lips: _Lips, value: float) -> None:
        """Reckon whether lips foretold the sound, then learn from it."""
        speaks = lips.heard > _SURE
        if not speaks and lips.heard > 1 - _SURE:
            return  # the sound is not sure either
        if min(lips.speech.count, lips.silence.count) * _BLOCK_S >= self.config.least_seen_s:
            share = lips.speech.weight / (lips.speech.weight + lips.silence.weight)
            share = min(max(share, 0.1), 0.9)
            ratio = float(np.clip(_ratio(lips, value), -_LONGEST_RATIO, _LONGEST_RATIO))
            told = share / (share + (1 - share) * np.exp(-ratio))
            gain = np.log(told / share) if speaks else np.log((1 - told) / (1 - share))
            self._believe(lips, float(gain))
        keep = np.exp(-_BLOCK_S / self.config.memory_s)
        (lips.speech if speaks else lips.silence).add(value, keep)

    def _believe(self, lips: _Lips, gain: float) -> None:
        """Follow the gain, and decide."""
        config = self.config
        lips.gain += (gain - lips.gain) * (1 - np.exp(-_BLOCK_S / config.gain_memory_s))
        lips.late_gain += (gain - lips.late_gain) * (1 - np.exp(-_BLOCK_S / config.doubt_memory_s))
        if lips.late_gain < 0 or lips.gain <= 0:
            lips.believed = False
        elif lips.gain >= config.trust_gain and lips.turns >= config.least_turns:
            lips.believed = _separation(lips) >= config.least_separation


def _ratio(lips: _Lips, value: float) -> float:
    """Log likelihood ratio of a motion, 0 where lips do not move more in speech."""
    rise = lips.speech.mean - lips.silence.mean
    if rise <= 0:
        return 0.0
    return rise / _variance(lips) * (value - (lips.speech.mean + lips.silence.mean) / 2)


def _variance(lips: _Lips) -> float:
    """Pooled variance of motion."""
    total = lips.speech.weight + lips.silence.weight
    both = lips.speech.weight * lips.speech.variance + lips.silence.weight * lips.silence.variance
    return max(both / max(total, 1.0), _LEAST_VARIANCE)


def _separation(lips: _Lips) -> float:
    """How far apart speech and silence are, in standard deviations."""
    return float((lips.speech.mean - lips.silence.mean) / np.sqrt(_variance(lips)))
