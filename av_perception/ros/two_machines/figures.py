# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of what the computer heard in a while: see `listener` for the notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from av_perception.geometry.time import nanoseconds, seconds

FRAME_RATE = 25.0  # [Hz] of the planted cameras
STEADY = 5  # frames in a row that are right
LEFT_OUT = 'compressed images left out'
MISSING = 'left images missing'
HALF = 'images dropped: no partner with the same stamp'
GAPS = 'sound: gaps in the sound'
OLD_SOUND = 'messages left out from /audio'
HEARER = 'audio_features'  # whose counters of sound are taken
LAST_VIEW_S = 2.0  # everybody must have been in view within so long before the end
MARGIN = 3  # images that may be under way at both ends of a while

Window = tuple[int, int]  # when a while began and ended [ns]


@dataclass(frozen=True)
class Figures:
    """Of one state of the network."""

    #: Pairs of images in a second whose faces came out [Hz].
    images_hz: float
    #: From an image's stamp to its speaking status, median and 95th percentile [ms].
    latency_ms: tuple[float, float]
    #: The oldest image of all when its faces came out [ms].
    oldest_image_ms: float
    #: Gaps in the sound, and chunks that came too late to be of use.
    sound_lost: int
    #: Pairs that the camera left out, for the network is slow.
    images_left_out: int
    #: Pairs of which a side, or both, did not come, and that are spoken of.
    images_lost: int
    #: Pairs that did not come and that no counter speaks of.
    lost_in_silence: int
    #: Everybody has the id of before.
    ids_kept: bool
    #: From the return of the network until all is right again [s]; None where it was not away.
    recovery_s: float | None
    #: What passed from robot to computer [Mbit/s].
    mbit_s: float


def measured(
    heard: dict[str, list], window: Window, returned_ns: int | None, mbit_s: float
) -> Figures:
    """Rate a while.

    Parameters
    ----------
    heard
        Everything that was heard.
    window
        The while.
    returned_ns
        When the network came back in it [ns]; None where it was not away.
    mbit_s
        What passed.
    """
    seen = _within(heard['seen'], window)
    spoken = _within(heard['speaking'], window)
    latencies_ms = [1e3 * seconds(came - stamp) for stamp, came, _ in spoken] or [float('nan')]
    ages_ms = [1e3 * seconds(came - stamp) for stamp, came, _ in seen] or [float('nan')]
    expected = FRAME_RATE * seconds(window[1] - window[0])
    left_out = growth(heard, window, 'stereo_camera', LEFT_OUT)
    missing = growth(heard, window, 'visual_features', MISSING)  # those left out among them
    told = max(left_out, missing) + growth(heard, window, 'visual_features', HALF)
    silent = max(0, round(expected) - len(seen) - told - MARGIN)
    sound_lost = sum(growth(heard, window, HEARER, event) for event in (GAPS, OLD_SOUND))
    return Figures(
        images_hz=len(seen) / seconds(window[1] - window[0]),
        latency_ms=(float(np.median(latencies_ms)), float(np.percentile(latencies_ms, 95))),
        oldest_image_ms=max(ages_ms),
        sound_lost=sound_lost,
        images_left_out=left_out,
        images_lost=told - left_out,
        lost_in_silence=0 if returned_ns else silent,  # then silence is what is said
        ids_kept=_ids(heard, window[0]) == _ids(heard, window[1]) is not None,
        recovery_s=None if returned_ns is None else recovery_s(heard, returned_ns),
        mbit_s=mbit_s,
    )


def recovery_s(heard: dict[str, list], returned_ns: int) -> float:
    """Tell how long after its return all was right; infinity for never.

    Right is a frame of after the return that holds everybody, once, and whose speaking status says
    that somebody speaks; STEADY of them in a row, and the first one counts.
    """
    speaks = {stamp for stamp, _, speaking in heard['speaking'] if speaking}
    row: list[int] = []
    for stamp, came, ids in heard['tracks']:
        if stamp < returned_ns or came < returned_ns:
            continue
        row = [*row, came] if ids and stamp in speaks else []
        if len(row) == STEADY:
            return seconds(row[0] - returned_ns)
    return float('inf')


def growth(heard: dict[str, list], window: Window, name: str, event: str) -> int:
    """Tell how much a node's counter grew in a while."""
    said = [note for note in heard['said'] if note[2] == name]
    before = [note for note in said if note[1] < window[0]]
    until = [note for note in said if note[1] < window[1]]
    return _value(until, event) - _value(before, event)


def sentences(heard: dict[str, list], window: Window, patterns: Sequence[str]) -> dict[str, str]:
    """Find what was said in a while that matches; by pattern, '' where nothing does."""
    said = [
        f'{name}: {message}'
        for _, came, name, is_well, message, _ in heard['said']
        if window[0] <= came <= window[1] and not is_well
    ]
    return {pattern: _found(pattern, said) for pattern in patterns}


def _found(pattern: str, said: Sequence[str]) -> str:
    """Cut out the clause that matches, with the name of who says it."""
    for sentence in said:
        name, _, words = sentence.partition(': ')
        for clause in re.split(r'; (?=no message|stamps on|\d+ nodes|the clock)|running, ', words):
            if re.search(pattern, clause):
                return f'{name}: {clause}'
    return ''


def _within(notes: list, window: Window) -> list:
    return [note for note in notes if window[0] <= note[1] < window[1]]


def _value(said: list[Any], event: str) -> int:
    return int(said[-1][5].get(event, 0)) if said else 0


def _ids(heard: dict[str, list], now_ns: int) -> dict | None:
    """Give the ids of the last frame before a moment that holds everybody."""
    earliest_ns = now_ns - nanoseconds(LAST_VIEW_S)
    frames = [ids for _, came, ids in heard['tracks'] if earliest_ns < came < now_ns and ids]
    return frames[-1] if frames else None
