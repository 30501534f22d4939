# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gathers what a turning head did and what it was told into a LookHistory."""

from __future__ import annotations

import numpy as np

from av_perception.evaluation.attention import (
    SAME_PERSON_DEG,
    LookHistory,
    angles_deg,
    flat_unit,
)
from av_perception.interfaces import Attention, LifeState, TrackFrame


class LookRecorder:
    """Steps as they happen, and answers as they come, each with the time that it is about."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, np.ndarray, np.ndarray, np.ndarray]] = []
        self._looks: dict[int, Attention] = {}
        self._tracks: dict[int, TrackFrame] = {}

    def note_step(
        self, time_s: float, head_axis: np.ndarray, positions: np.ndarray, speaking: np.ndarray
    ) -> None:
        """Note one moment; see LookHistory."""
        self._steps.append((time_s, head_axis, positions, speaking))

    def note_answer(self, step: int, attention: Attention, tracks: TrackFrame) -> None:
        """Note whom to look at, and who was there, at the moment of a step, counted from 0."""
        self._looks[step] = attention
        self._tracks[step] = tracks

    def history(self) -> LookHistory:
        """Give everything; at steps without an answer the last one holds."""
        times, axes, positions, speaking = zip(*self._steps)
        place = np.array(positions)
        count = len(times)
        look_id = np.full(count, -1)
        look_point = np.full((count, 3), np.nan)
        track_ids = np.full(place.shape[:2], -1)
        attention: Attention | None = None
        for step in range(count):
            attention = self._looks.get(step, attention)
            if attention is not None and attention.target is not None:
                look_id[step] = attention.id
                look_point[step] = attention.target
            if step in self._tracks:
                track_ids[step] = _ids_of(place[step], self._tracks[step])
        return LookHistory(
            np.array(times),
            np.array(axes),
            place,
            np.array(speaking, bool),
            look_id,
            look_point,
            track_ids,
        )


def _ids_of(positions: np.ndarray, frame: TrackFrame) -> np.ndarray:
    """(P,) id of the active track nearest in direction to each person, -1 for none near."""
    tracks = [t for t in frame.tracks if t.state == LifeState.ACTIVE]
    ids = np.full(len(positions), -1)
    if not tracks or not len(positions):
        return ids
    places = np.array([t.mean[:3] for t in tracks])
    angles = angles_deg(flat_unit(positions)[:, None], flat_unit(places)[None])
    nearest = np.argmin(angles, axis=1)
    near = angles[np.arange(len(ids)), nearest] <= SAME_PERSON_DEG
    ids[near] = np.array([t.id for t in tracks])[nearest[near]]
    return ids
