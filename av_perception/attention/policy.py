# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom to look at: who speaks, best of all to the robot; who is heard out of view; who arrives.

A look begins after enough speech, lasts a while, and goes from one speaker to another only when
the first has fallen silent or the second speaks to the robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from av_perception.attention.aim import (
    angle_between,
    direction_to,
    is_aimable,
    point_to_look_at,
)
from av_perception.attention.config import AttentionConfig
from av_perception.attention.speech_evidence import Evidence, SpeechEvidence
from av_perception.geometry.time import seconds
from av_perception.interfaces import (
    Attention,
    AttentionReason,
    LifeState,
    SpeakingFrame,
    TrackEstimate,
    TrackFrame,
)

_RESET_S = 1.0  # a stamp so far back begins another stream
_IN_VIEW = 0.5  # probability from which somebody counts as in view
_RANK = {
    AttentionReason.SPEAKS_TO_ME: 3,
    AttentionReason.SPEAKS: 2,
    AttentionReason.HEARD: 2,
    AttentionReason.ARRIVED: 1,
}
_NOBODY: dict[int, float] = {}


@dataclass
class _Look:
    """At whom, why, since when, and where that person was last; evidence: last known of them."""

    id: int
    reason: AttentionReason
    since_ns: int
    point: np.ndarray
    evidence: Evidence
    present_ns: int


class AttentionPolicy:
    """Decides frame by frame; moves nothing.

    Parameters
    ----------
    config
        May be replaced at any time: the attribute `config`.
    """

    def __init__(self, config: AttentionConfig | None = None):
        self.config = config or AttentionConfig()
        self._forget()

    def _forget(self) -> None:
        self._evidence = SpeechEvidence()
        self._look: _Look | None = None
        self._newest_ns: int | None = None

    def step(
        self,
        tracks: TrackFrame,
        speaking: SpeakingFrame,
        facing: Mapping[int, float] = _NOBODY,
        origin: np.ndarray | None = None,
    ) -> Attention | None:
        """Take the people of one moment.

        Parameters
        ----------
        tracks, speaking
            Who is there, and who speaks.
        facing
            Probability by id that the face is turned to the robot; who is not in it, or NaN, may
            look anywhere.
        origin
            (3,) [m] the robot's head in the frame of the tracks; None for its origin.

        Returns
        -------
        Attention or None
            None for a frame that is older than the last one.
        """
        stamp_ns = tracks.stamp_ns
        elapsed_s = self._elapsed_s(stamp_ns)
        if elapsed_s is None:
            return None
        origin = np.zeros(3) if origin is None else np.asarray(origin, float)
        people = {t.id: t for t in tracks.tracks if _is_somebody(t) and is_aimable(t, origin)}
        probability = {s.id: s.probability for s in speaking.statuses}
        self._evidence.update(stamp_ns, elapsed_s, people, probability, self.config)
        self._follow(people, origin)
        self._decide(stamp_ns, people, self._claims(stamp_ns, people, facing))
        self._note_place(stamp_ns, people, origin)
        return self._attention(stamp_ns)

    def _elapsed_s(self, stamp_ns: int) -> float | None:
        """Time since the last frame [s], 0 after a gap or at a new start; None: it is older."""
        newest_ns = self._newest_ns
        if newest_ns is None:
            self._newest_ns = stamp_ns
            return 0.0
        elapsed_s = seconds(stamp_ns - newest_ns)
        if elapsed_s < -_RESET_S:
            self._forget()
        elif elapsed_s <= 0:
            return None
        elif elapsed_s > self.config.max_gap_s:
            self._evidence.forget_speech()
        self._newest_ns = stamp_ns
        return elapsed_s if 0 < elapsed_s <= self.config.max_gap_s else 0.0

    def _follow(self, people: Mapping[int, TrackEstimate], origin: np.ndarray) -> None:
        """Go on with a new id where the old one is gone and somebody is in its place."""
        look = self._look
        if look is None or look.id in people:
            return
        before = direction_to(look.point, origin)
        angles = {
            i: angle_between(before, direction_to(t.mean[:3], origin)) for i, t in people.items()
        }
        heir = min(angles, key=angles.__getitem__, default=None)
        if heir is not None and angles[heir] <= np.radians(self.config.same_place_deg):
            look.id = heir
            self._evidence.inherit(heir, look.evidence)

    def _claims(
        self, stamp_ns: int, people: Mapping[int, TrackEstimate], facing: Mapping[int, float]
    ) -> dict[int, AttentionReason]:
        """Say of everybody who is worth a look, why."""
        claims = {}
        for i, track in people.items():
            reason = self._claim(stamp_ns, track, self._evidence.of(i), facing.get(i, 0.0))
            if reason is not None:
                claims[i] = reason
        return claims

    def _claim(
        self, stamp_ns: int, track: TrackEstimate, person: Evidence, facing: float
    ) -> AttentionReason | None:
        config = self.config
        has_spoken = person.speech_s >= config.min_speech_s or self._is_looked_at(track.id)
        if has_spoken and person.silent_s(stamp_ns) < config.yield_s:
            if not (track.seen or (track.last_seen_ns and track.visibility >= _IN_VIEW)):
                return AttentionReason.HEARD
            if facing >= config.facing_threshold:  # NaN is not
                return AttentionReason.SPEAKS_TO_ME
            return AttentionReason.SPEAKS
        arrived_ns = person.arrived_ns
        if arrived_ns is not None and seconds(stamp_ns - arrived_ns) < config.arrival_s:
            return AttentionReason.ARRIVED
        return None

    def _is_looked_at(self, person_id: int) -> bool:
        return self._look is not None and self._look.id == person_id

    def _decide(
        self,
        stamp_ns: int,
        people: Mapping[int, TrackEstimate],
        claims: Mapping[int, AttentionReason],
    ) -> None:
        """Keep, change or end the look."""
        look = self._look
        others = {i: reason for i, reason in claims.items() if look is None or i != look.id}
        best = max(
            others, key=lambda i: (_RANK[others[i]], self._evidence.of(i).speech_s), default=None
        )
        if look is not None and _is_present(people.get(look.id)):
            look.present_ns = stamp_ns
        if best is not None and self._may_go(stamp_ns, claims, others[best]):
            point = people[best].mean[:3]
            evidence = self._evidence.of(best)
            self._look = _Look(best, others[best], stamp_ns, point, evidence, stamp_ns)
        elif look is not None:
            look.reason = _renewed(look.reason, claims.get(look.id))
            if look.id not in claims and self._is_over(stamp_ns, look):
                self._look = None

    def _may_go(
        self, stamp_ns: int, claims: Mapping[int, AttentionReason], reason: AttentionReason
    ) -> bool:
        """Tell whether the look may go to somebody with this claim."""
        look = self._look
        if look is None:
            return True
        silent_s = look.evidence.silent_s(stamp_ns)
        if reason == AttentionReason.ARRIVED and silent_s < self.config.quiet_s:
            return False
        is_gone = seconds(stamp_ns - look.present_ns) > 0
        lasted_s = seconds(stamp_ns - look.since_ns)
        if lasted_s < self.config.min_dwell_s and not is_gone:
            return False
        present = claims.get(look.id)
        return _RANK[reason] > (0 if present is None else _RANK[present])

    def _is_over(self, stamp_ns: int, look: _Look) -> bool:
        """Tell whether a person without a claim is no longer worth the look."""
        config = self.config
        if seconds(stamp_ns - look.present_ns) >= config.lost_s:
            return True
        looked_s = seconds(stamp_ns - look.since_ns)
        return min(looked_s, look.evidence.silent_s(stamp_ns)) >= config.hold_s

    def _note_place(
        self, stamp_ns: int, people: Mapping[int, TrackEstimate], origin: np.ndarray
    ) -> None:
        """Remember where the person looked at is, and what is known of them.

        A track that is neither seen nor heard coasts: most of all while the head turns, deaf and
        blurred. Following it, the head would run away from whom it turns to.
        """
        look = self._look
        track = None if look is None else people.get(look.id)
        if look is None or track is None:
            return
        look.evidence = self._evidence.of(look.id)
        if track.seen or track.heard or look.since_ns == stamp_ns:
            elevation_sd = np.radians(self.config.elevation_sd_deg)
            look.point = point_to_look_at(track, origin, float(elevation_sd))

    def _attention(self, stamp_ns: int) -> Attention:
        look = self._look
        if look is None:
            return Attention(stamp_ns, AttentionReason.NOBODY)
        return Attention(stamp_ns, look.reason, look.id, look.point.copy(), look.since_ns)


def _renewed(reason: AttentionReason, claim: AttentionReason | None) -> AttentionReason:
    """Give the reason to go on looking at somebody; who has spoken does not arrive any more."""
    if claim is not None and claim != AttentionReason.ARRIVED:
        return claim
    return AttentionReason.ARRIVED if reason == AttentionReason.ARRIVED else AttentionReason.SPOKE


def _is_somebody(track: TrackEstimate) -> bool:
    """Leave out who may be nobody yet; a sleeper is only coasting, but may be looked at."""
    return track.state != LifeState.TENTATIVE


def _is_present(track: TrackEstimate | None) -> bool:
    return track is not None and track.state == LifeState.ACTIVE
