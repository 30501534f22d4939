# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of whom a head looks at: how soon it faces who speaks, and whom it should not.

A head faces somebody when its x axis points no farther than FACING_DEG beside their head.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FACING_DEG = 10.0
MIN_TURN_S = 0.6  # of speech: nobody has to look at a shorter word
MIN_SILENCE_S = 0.5  # before a turn: shorter ones are pauses
SAME_PERSON_DEG = 15.0  # a look no farther beside somebody is at them
RECENT_S = 1.5  # who spoke no longer ago is rightly looked at


@dataclass(frozen=True)
class LookHistory:
    """What happened, on one grid of T times.

    Attributes
    ----------
    time_s
        (T,) [s]
    head_axis
        (T, 3) unit vectors: where the head's x axis points, in a frame that does not turn and
        whose origin is the head's.
    positions, speaking
        (T, P, 3) [m] of the people's heads in that frame, (T, P) bool.
    look_id, look_point
        (T,) id of whom to look at, -1 for nobody, and (T, 3) [m] where, NaN for nobody.
    track_ids
        (T, P) id of the track that stands for each person, -1 for none.
    """

    time_s: np.ndarray
    head_axis: np.ndarray
    positions: np.ndarray
    speaking: np.ndarray
    look_id: np.ndarray
    look_point: np.ndarray
    track_ids: np.ndarray

    @property
    def angles_deg(self) -> np.ndarray:
        """(T, P) between the head's axis and the direction to each person."""
        return angles_deg(self.head_axis[:, None], self.positions)


@dataclass(frozen=True)
class Onset:
    """One turn of speech.

    Attributes
    ----------
    person
        Index.
    time_s
        [s] when they alone speak for the first time in it.
    away_deg
        [deg] between the head's axis and the person then.
    delay_s
        [s] until the head faces the person, infinite for never during the turn.
    """

    person: int
    time_s: float
    away_deg: float
    delay_s: float


@dataclass(frozen=True)
class LookScores:
    """Figures of one run; medians are None without onsets.

    Attributes
    ----------
    onsets, out_of_view
        Number of turns of speech, and of those that began outside of the camera's view.
    delay_median_s, delay_out_of_view_median_s
        [s] from the onset to facing who speaks, of turns that the head did not face already.
    delay_out_of_view_p90_s
        [s]
    missed
        Turns whose speaker the head never faced.
    speech_looked_at
        Share of the time in which anybody speaks that the head faces somebody who does.
    looks
        How often the look went to somebody.
    false_turns
        Looks at nobody, and at people who had not spoken when somebody else had just done so.
    ids_changed
        How often a person's id changed.
    """

    onsets: int
    out_of_view: int
    delay_median_s: float | None
    delay_out_of_view_median_s: float | None
    delay_out_of_view_p90_s: float | None
    missed: int
    speech_looked_at: float | None
    looks: int
    false_turns: int
    ids_changed: int

    def to_dict(self) -> dict:
        """Give the figures by name."""
        return dataclasses.asdict(self)


def angles_deg(axis: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the angles [deg] between unit vectors (..., 3) and directions to points (..., 3)."""
    distance = np.linalg.norm(positions, axis=-1)
    cosine = np.sum(axis * positions, axis=-1) / np.maximum(distance, 1e-9)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def speech_turns(time_s: np.ndarray, speaking: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of a person's turns of at least MIN_TURN_S; pauses are bridged.

    Parameters
    ----------
    time_s
        (T,) [s]
    speaking
        (T,) bool
    """
    spoken = np.flatnonzero(speaking)
    if not len(spoken):
        return []
    breaks = np.flatnonzero(np.diff(time_s[spoken]) > MIN_SILENCE_S)
    firsts = spoken[np.concatenate([[0], breaks + 1])]
    lasts = spoken[np.concatenate([breaks, [len(spoken) - 1]])]
    long = time_s[lasts] - time_s[firsts] >= MIN_TURN_S
    return list(zip(firsts[long].tolist(), lasts[long].tolist()))


def find_onsets(history: LookHistory) -> list[Onset]:
    """List every turn in which its speaker is heard alone for a while, in order."""
    onsets = []
    angles = history.angles_deg
    for person in range(history.speaking.shape[1]):
        others = np.delete(history.speaking, person, axis=1).sum(axis=1) > 0
        for first, last in speech_turns(history.time_s, history.speaking[:, person]):
            alone = np.flatnonzero(~others[first : last + 1]) + first
            if not len(alone) or history.time_s[last] - history.time_s[alone[0]] < MIN_TURN_S:
                continue
            start = int(alone[0])
            faced = np.flatnonzero(angles[start : last + 1, person] <= FACING_DEG)
            delay_s = math.inf
            if len(faced):
                delay_s = float(history.time_s[start + faced[0]] - history.time_s[start])
            onset_s = float(history.time_s[start])
            onsets.append(Onset(person, onset_s, float(angles[start, person]), delay_s))
    return sorted(onsets, key=lambda onset: onset.time_s)


def score_looks(histories: Sequence[LookHistory], half_view_deg: float) -> LookScores:
    """Compute all figures of some runs together.

    Parameters
    ----------
    histories
        What happened in each.
    half_view_deg
        [deg] who is farther beside the head's axis is out of view.
    """
    onsets = [onset for history in histories for onset in find_onsets(history)]
    turned = [onset for onset in onsets if onset.away_deg > FACING_DEG]
    outside = [onset for onset in onsets if onset.away_deg > half_view_deg]
    speech = sum(int(h.speaking.any(axis=1).sum()) for h in histories)
    faced = sum(int(_faces_a_speaker(h).sum()) for h in histories)
    looks = [_count_looks(history) for history in histories]
    return LookScores(
        onsets=len(onsets),
        out_of_view=len(outside),
        delay_median_s=_quantile(turned, 0.5),
        delay_out_of_view_median_s=_quantile(outside, 0.5),
        delay_out_of_view_p90_s=_quantile(outside, 0.9),
        missed=sum(math.isinf(onset.delay_s) for onset in onsets),
        speech_looked_at=faced / speech if speech else None,
        looks=sum(count for count, _ in looks),
        false_turns=sum(false for _, false in looks),
        ids_changed=sum(_count_id_changes(history.track_ids) for history in histories),
    )


def _faces_a_speaker(history: LookHistory) -> np.ndarray:
    """(T,) bool: the head faces somebody who speaks."""
    return (history.speaking & (history.angles_deg <= FACING_DEG)).sum(axis=1) > 0


def _quantile(onsets: list[Onset], share: float) -> float | None:
    """Give the smallest delay [s] that so many of the onsets do not exceed; None for infinite."""
    if not onsets:
        return None
    delays = sorted(onset.delay_s for onset in onsets)
    delay_s = delays[max(0, math.ceil(share * len(delays)) - 1)]
    return delay_s if math.isfinite(delay_s) else None


def _count_looks(history: LookHistory) -> tuple[int, int]:
    """How often the look went to another id, and how often of these it should not have."""
    before = np.concatenate([[-1], history.look_id[:-1]])
    begun = np.flatnonzero((history.look_id != before) & (history.look_id >= 0))
    return len(begun), sum(_is_false(history, int(index)) for index in begun)


def _is_false(history: LookHistory, index: int) -> bool:
    """Whether nobody is where the look goes, or another one had just spoken, and not this one."""
    angles = angles_deg(flat_unit(history.look_point[index]), flat_unit(history.positions[index]))
    person = int(np.argmin(angles)) if len(angles) else -1
    if person < 0 or angles[person] > SAME_PERSON_DEG:
        return True
    now_s = history.time_s[index]
    recent = (history.time_s > now_s - RECENT_S) & (history.time_s <= now_s)
    spoke = history.speaking[recent].any(axis=0)
    return bool(spoke.any() and not spoke[person])


def flat_unit(vectors: np.ndarray) -> np.ndarray:
    """Project (..., 3) onto the ground and normalize: of a voice only the azimuth is known."""
    flat = vectors * np.array([1.0, 1.0, 0.0])
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-9)


def _count_id_changes(track_ids: np.ndarray) -> int:
    """Sum over people of the changes between consecutive known ids. track_ids: (T, P)."""
    changes = 0
    for column in track_ids.T:
        known = column[column >= 0]
        changes += int(np.count_nonzero(np.diff(known)))
    return changes
