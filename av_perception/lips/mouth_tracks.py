# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose mouth it is: crops of an image and the tracks of the same image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from av_perception.interfaces import MouthCrop, MouthFrame, TrackEstimate, TrackFrame

# A track has the box of the face that was assigned to it; messages round it.
_SAME_PX = 0.5


def mouths_of_tracks(tracks: TrackFrame, mouths: MouthFrame) -> dict[int, MouthCrop]:
    """Find the crop of every track that was seen in an image.

    Parameters
    ----------
    tracks
        With the boxes of their faces.
    mouths
        Of the same image; of another none is anybody's.

    Returns
    -------
    dict of int to MouthCrop
        By id of the track; a crop is one track's only.
    """
    if tracks.stamp_ns != mouths.stamp_ns or not mouths.mouths:
        return {}
    boxes = np.array([crop.box for crop in mouths.mouths], float)
    found: dict[int, MouthCrop] = {}
    taken: set[int] = set()
    for track, box in _seen(tracks.tracks):
        off = np.abs(boxes - box).max(axis=1)
        index = int(off.argmin())
        if off[index] <= _SAME_PX and index not in taken:
            taken.add(index)
            found[track.id] = mouths.mouths[index]
    return found


def mouths_by_track(
    tracks: Iterable[TrackFrame], mouths: Iterable[MouthFrame]
) -> dict[int, list[tuple[int, MouthCrop]]]:
    """Collect the mouths of everybody: stamps [ns] and crops in order of the tracks, by id."""
    by_stamp = {frame.stamp_ns: frame for frame in mouths}
    found: dict[int, list[tuple[int, MouthCrop]]] = {}
    for frame in tracks:
        own = by_stamp.get(frame.stamp_ns)
        if own is not None:
            for key, crop in mouths_of_tracks(frame, own).items():
                found.setdefault(key, []).append((frame.stamp_ns, crop))
    return found


def _seen(tracks: Iterable[TrackEstimate]) -> Iterable[tuple[TrackEstimate, np.ndarray]]:
    return ((track, track.box) for track in tracks if track.box is not None)
