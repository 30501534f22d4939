# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks: one two-state hidden Markov model per person, with hysteresis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from av_perception.diarization.hysteresis import Decision
from av_perception.geometry.time import seconds
from av_perception.interfaces import SpeakingFrame, SpeakingStatus, TrackFrame

_NOMINAL_STEP_S = 0.04
_RESET_S = 1.0  # a stamp further back than this starts anew
_LEAST_SHARE = 1e-3  # shares of 0 and 1 have no density


@dataclass(frozen=True)
class SpeakingConfig:
    """The hidden Markov model of a person who speaks or not, and the hysteresis."""

    #: in (0.5, 1), probability per 40 ms of going on speaking
    stay_speaking: float = 0.95
    #: in (0.5, 1), probability per 40 ms of staying silent
    stay_silent: float = 0.95
    #: (a, b) of the Beta density of the audio share of somebody who speaks
    speaking_beta: tuple[float, float] = (3.0, 1.5)
    #: (a, b) of the Beta density of the audio share of somebody silent
    silent_beta: tuple[float, float] = (1.0, 8.0)
    #: [nat] largest absolute log ratio of one frame
    evidence_limit: float = 5.0
    #: [nat] log ratio of a frame without voice
    silence_evidence: float = -2.5
    #: Probability above which a person counts as speaking.
    on: float = 0.6
    #: Probability below which a person counts as silent; not above on_threshold.
    off: float = 0.4
    #: How long on_threshold must stay exceeded, in seconds: drops short bursts.
    on_delay_s: float = 0.0
    #: How long the probability must stay below off_threshold, in seconds: bridges short pauses.
    off_delay_s: float = 0.0

    def __post_init__(self):
        if not (0.5 < self.stay_speaking < 1 and 0.5 < self.stay_silent < 1):
            raise ValueError('stay_speaking and stay_silent must lie in (0.5, 1)')
        if min(*self.speaking_beta, *self.silent_beta) <= 0 or self.evidence_limit <= 0:
            raise ValueError('Beta parameters and evidence_limit must be positive')
        if not 0 < self.off <= self.on < 1:
            raise ValueError('thresholds must satisfy 0 < off <= on < 1')
        if min(self.on_delay_s, self.off_delay_s) < 0:
            raise ValueError('delays must not be negative')


_DEFAULT = SpeakingConfig()


@dataclass
class _Voice:
    """What is known of one person's speech: the probability, and the published decision."""

    probability: float
    decision: Decision


class SpeakingFilter:
    """Forward recursion of the speaking HMM of every track.

    Structure after Gebru, Ba, Li, Horaud, "Audio-visual speaker diarization based on
    spatiotemporal Bayesian fusion", IEEE TPAMI 40(5), 2018; people are independent, so the joint
    MAP over {0,1}^N factorizes. With the audio share a (T16 of docs/tracker_equations.md):

        prior = p11 P + p01 (1 - P),   logit P <- logit(prior) + lr,
        lr = log Beta(a; speaking) - log Beta(a; silent).

    `config` may be replaced at any time.
    """

    def __init__(self, config: SpeakingConfig = _DEFAULT):
        self.config = config
        self._voices: dict[int, _Voice] = {}
        self._stamp_ns: int | None = None

    def step(self, frame: TrackFrame) -> SpeakingFrame:
        """Take one frame of tracks.

        Parameters
        ----------
        frame
            A frame whose stamp does not advance changes nothing, one more than 1 s back starts
            anew.

        Returns
        -------
        SpeakingFrame
            The status of every track of the frame.
        """
        is_first = self._stamp_ns is None
        dt_s = 0.0 if self._stamp_ns is None else seconds(frame.stamp_ns - self._stamp_ns)
        is_reset = dt_s < -_RESET_S
        if is_reset:
            self._voices.clear()
        voices = {
            track.id: self._voices.get(track.id) or self._unknown(frame.stamp_ns)
            for track in frame.tracks
        }
        if dt_s > 0 or is_reset or is_first:
            self._stamp_ns = frame.stamp_ns
            for track in frame.tracks:
                evidence = self.evidence(track.audio_responsibility, frame.voice_active)
                self._update(voices[track.id], evidence, abs(dt_s), frame.stamp_ns)
        self._voices = voices
        statuses = (
            SpeakingStatus(i, voice.decision.speaking, voice.probability, voice.decision.since_ns)
            for i, voice in voices.items()
        )
        return SpeakingFrame(frame.stamp_ns, tuple(statuses))

    def evidence(self, share: float, voice_active: bool) -> float:
        """Weigh one frame: the log likelihood ratio lr.

        Parameters
        ----------
        share
            The person's share of the sound, in [0, 1].
        voice_active
            Whether there was voice at all.

        Returns
        -------
        float
            [nat]
        """
        config = self.config
        if not voice_active:
            return config.silence_evidence
        share = min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)
        speaking = _beta_log_density(share, *config.speaking_beta)
        silent = _beta_log_density(share, *config.silent_beta)
        return min(max(speaking - silent, -config.evidence_limit), config.evidence_limit)

    def _unknown(self, stamp_ns: int) -> _Voice:
        """Of whom nothing is known."""
        return _Voice(self._stationary(), Decision(stamp_ns))

    def _stationary(self) -> float:
        """Probability of speaking when nothing is known."""
        start, stop = 1 - self.config.stay_silent, 1 - self.config.stay_speaking
        return start / (start + stop)

    def _update(self, voice: _Voice, evidence: float, dt_s: float, stamp_ns: int) -> None:
        """One step of the forward recursion.

        A two-state chain forgets geometrically towards its stationary probability, whatever the
        length of the step.
        """
        stationary = self._stationary()
        memory_of_step = self.config.stay_speaking + self.config.stay_silent - 1
        memory = memory_of_step ** (dt_s / _NOMINAL_STEP_S)
        prior = stationary + (voice.probability - stationary) * memory
        odds = prior / (1 - prior) * math.exp(evidence)
        voice.probability = odds / (1 + odds)
        voice.decision.update(voice.probability, stamp_ns, self.config)


def _beta_log_density(share: float, a: float, b: float) -> float:
    """Log density of Beta(a, b) at a share."""
    log_density = (a - 1) * math.log(share) + (b - 1) * math.log1p(-share)
    return log_density - _log_beta(a, b)


@lru_cache(maxsize=16)
def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
