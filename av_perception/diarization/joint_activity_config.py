# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the chain over who speaks is set to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JointActivityConfig:
    """The chain, how evidence counts, and the decision."""

    #: Probability per 40 ms that a silent person starts to speak, in (0, 0.5).
    start: float = 0.008
    #: Probability per 40 ms that a speaking person stops, in (0, 0.5).
    stop: float = 0.012
    #: Evidence counts by this positive factor: that of neighboring bins is not independent.
    evidence_weight: float = 0.27
    #: Cost of every further speaker [nat per block].
    speaker_cost: float = 0.4
    #: The voice detector's log odds that nobody speaks count up to this [nat].
    silence_limit: float = 3.0
    #: Its log odds that somebody does count up to this [nat]: that bridges the gaps between words.
    #: Below the cost of a speaker, since it may be somebody whom no track stands for.
    voice_limit: float = 0.35
    #: Voice activity below this is no voice, in 0..1.
    least_voice: float = 0.2
    #: Who stands where sound without voice has come from for so long does not speak, until there
    #: is voice again [s]: it is a machine, an animal or music. `inf`: sound is sound.
    voiceless_s: float = 0.4
    #: A block with fewer kept bins than this is quiet.
    quiet_bins: int = 12
    #: A quiet block costs every subset that speaks up to so much, when it is empty [nat].
    quiet_cost: float = 1.5
    #: Who owns none of a block's bins while others own them costs a subset up to so much [nat]:
    #: with the best weights alone, somebody silent beside a talker would cost next to nothing.
    absence_cost: float = 0.8
    #: Who owns so many bins of a block is not absent, and nobody is while the others own fewer.
    absence_bins: float = 8.0
    #: Mean number of bins of a block of voice in a quiet room, 0 or more. In noise voices leave
    #: fewer: each counts for more then, and fewer bins are quiet or absence. 0: always the same.
    usual_bins: float = 60.0
    #: Differences between subsets count up to this in one block [nat].
    evidence_limit: float = 8.0
    #: Probability above which a person counts as speaking, in (0, 1).
    on: float = 0.6
    #: Probability below which a person counts as silent, at most `on`.
    off: float = 0.4
    #: How long `on` must stay exceeded [s].
    on_delay_s: float = 0.0
    #: How long the probability must stay below `off` [s].
    off_delay_s: float = 0.0
    #: Who speaks again within this time after the end of a turn had not ended it [s].
    resume_s: float = 0.5
    #: `off` falls by exp(-resume_step) for everybody where a turn had not ended [nat], ...
    resume_step: float = 0.5
    #: ... and rises by exp(end_step) where one had [nat].
    end_step: float = 0.25
    #: Sound of so much later is heard before the decision, in seconds: surer, and so much later.
    look_ahead_s: float = 0.0
    #: People who can speak in one block, 1..10; of more the likeliest count.
    max_people: int = 5

    def __post_init__(self):
        if not (0 < self.start < 0.5 and 0 < self.stop < 0.5):
            raise ValueError('start and stop must lie in (0, 0.5)')
        if not 0 < self.off <= self.on < 1:
            raise ValueError('thresholds must satisfy 0 < off <= on < 1')
        if min(self.evidence_weight, self.evidence_limit) <= 0:
            raise ValueError('evidence_weight and evidence_limit must be positive')
        if min(self.speaker_cost, self.look_ahead_s) < 0:
            raise ValueError('speaker_cost and look_ahead_s must not be negative')
        if min(self.silence_limit, self.voice_limit) < 0:
            raise ValueError('silence_limit and voice_limit must not be negative')
        if not (0 <= self.least_voice <= 1 and self.voiceless_s > 0):
            raise ValueError('least_voice must lie in 0..1, and voiceless_s be positive')
        if min(self.on_delay_s, self.off_delay_s) < 0:
            raise ValueError('delays must not be negative')
        if min(self.quiet_bins, self.quiet_cost, self.absence_cost) < 0:
            raise ValueError('quiet_bins, quiet_cost and absence_cost must not be negative')
        if min(self.usual_bins, self.resume_s, self.resume_step, self.end_step) < 0:
            raise ValueError('usual_bins, resume_s, resume_step and end_step must not be negative')
        if not self.absence_bins > 0:
            raise ValueError(f'absence_bins must be positive, not {self.absence_bins}')
        if not 1 <= self.max_people <= 10:
            raise ValueError(f'max_people must lie in 1..10, not {self.max_people}')

    @property
    def resting(self) -> float:
        """Probability of speaking of whom nothing is known."""
        return self.start / (self.start + self.stop)
