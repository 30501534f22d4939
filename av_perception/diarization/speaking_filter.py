# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks: one two-state hidden Markov model per person, with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from av_perception.interfaces import SpeakingFrame, SpeakingStatus, TrackFrame

_NOMINAL_STEP_S = 0.04


@dataclass(frozen=True)
class SpeakingConfig:
    """stay_speaking, stay_silent: transition probabilities per 40 ms; speaking_beta, silent_beta: (a, b) of the Beta densities of the
    audio share when the person speaks / is silent; evidence_limit: largest |log ratio| of one frame; silence_evidence: log ratio of a
    frame without voice; on / off: hysteresis thresholds of the probability; on_delay_s, off_delay_s: how long a threshold must stay
    crossed (drops short bursts, bridges short pauses).
    """

    stay_speaking: float = 0.95
    stay_silent: float = 0.95
    speaking_beta: tuple[float, float] = (3.0, 1.5)
    silent_beta: tuple[float, float] = (1.0, 8.0)
    evidence_limit: float = 5.0
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


@dataclass
class _Voice:
    """probability of speaking; the published decision with the stamp of its last change; when the opposite threshold was crossed (None:
    it is not).
    """

    probability: float
    since_ns: int
    speaking: bool = False
    crossed_ns: int | None = None


class SpeakingFilter:
    """Forward recursion of the speaking HMM of every track (structure after Gebru, Ba, Li, Horaud, "Audio-visual speaker diarization
    based on spatiotemporal Bayesian fusion", IEEE TPAMI 40(5), 2018; people are independent, so the joint MAP over {0,1}^N factorises).

    `prior = p11 P + p01 (1 - P)`, `logit P <- logit(prior) + lr`, `lr = log Beta(a; speaking) - log Beta(a; silent)` of the audio share a.
    `config` may be replaced at any time.
    """

    def __init__(self, config: SpeakingConfig = SpeakingConfig()):
        self.config = config
        self._voices: dict[int, _Voice] = {}
        self._stamp_ns: int | None = None

    def step(self, frame: TrackFrame) -> SpeakingFrame:
        """The status of every track of the frame. A frame whose stamp does not advance changes nothing, one more than 1 s back starts
        anew.
        """
        dt_s = 0.0 if self._stamp_ns is None else (frame.stamp_ns - self._stamp_ns) * 1e-9
        if dt_s < -1.0:
            self._voices.clear()
        old = {
            track.id: self._voices.get(track.id) or _Voice(self._stationary(), frame.stamp_ns)
            for track in frame.tracks
        }
        if dt_s > 0 or dt_s < -1.0 or self._stamp_ns is None:
            self._stamp_ns = frame.stamp_ns
            for track in frame.tracks:
                self._update(
                    old[track.id],
                    self.evidence(track.audio_responsibility, frame.voice_active),
                    abs(dt_s),
                    frame.stamp_ns,
                )
        self._voices = old
        return SpeakingFrame(
            frame.stamp_ns,
            tuple(
                SpeakingStatus(i, v.speaking, v.probability, v.since_ns) for i, v in old.items()
            ),
        )

    def evidence(self, share: float, voice_active: bool) -> float:
        """Log likelihood ratio lr of one frame's audio share in [0, 1]."""
        config = self.config
        if not voice_active:
            return config.silence_evidence
        share = min(max(share, 1e-3), 1 - 1e-3)
        ratio = _beta_log_density(share, *config.speaking_beta) - _beta_log_density(
            share, *config.silent_beta
        )
        return float(np.clip(ratio, -config.evidence_limit, config.evidence_limit))

    def _stationary(self) -> float:
        start, stop = 1 - self.config.stay_silent, 1 - self.config.stay_speaking
        return start / (start + stop)

    def _update(self, voice: _Voice, evidence: float, dt_s: float, stamp_ns: int):
        # A two-state chain forgets geometrically towards its stationary probability, whatever the step.
        rest = self._stationary()
        memory = (self.config.stay_speaking + self.config.stay_silent - 1) ** (
            dt_s / _NOMINAL_STEP_S
        )
        prior = rest + (voice.probability - rest) * memory
        odds = prior / (1 - prior) * np.exp(evidence)
        voice.probability = float(odds / (1 + odds))
        self._decide(voice, stamp_ns)

    def _decide(self, voice: _Voice, stamp_ns: int):
        """Hysteresis: the decision changes once the threshold has been crossed for the delay; `since` is then the crossing."""
        config = self.config
        crossed = (
            voice.probability < config.off if voice.speaking else voice.probability > config.on
        )
        if not crossed:
            voice.crossed_ns = None
            return
        voice.crossed_ns = stamp_ns if voice.crossed_ns is None else voice.crossed_ns
        delay_s = config.off_delay_s if voice.speaking else config.on_delay_s
        if (stamp_ns - voice.crossed_ns) * 1e-9 >= delay_s - 1e-6:
            voice.speaking, voice.since_ns, voice.crossed_ns = (
                not voice.speaking,
                voice.crossed_ns,
                None,
            )


def _beta_log_density(share: float, a: float, b: float) -> float:
    """log Beta(share; a, b)."""
    return (a - 1) * np.log(share) + (b - 1) * np.log1p(-share) - betaln(a, b)
