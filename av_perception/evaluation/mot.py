# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tracks against the truth as the MOT challenge scores them.

Boxes are compared by overlap, or positions by distance, with TrackEval's metrics, and OSPA.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.errors import UserError
from av_perception.evaluation.tracking_metrics import (
    Similarities,
    clear_and_identity,
    hota,
    mean_ospa,
    similarity,
)
from av_perception.geometry.boxes import box_overlap, centers
from av_perception.recording.mot_text import PERSON, MotTable, SequenceInfo

OSPA_CUTOFF_PX = 50.0
# People on vehicles, static people, distractors, reflections: a track on one of them is neither
# right nor wrong (MOT16, section 4.1).
NEUTRAL_KINDS = (2, 7, 8, 12)
_LEAST_OVERLAP = 0.5
_FRACTION = 1.5  # boxes that reach no further are no pixels; those of people who leave exceed 1
_ODD_GAP = 1000  # frames, forty seconds


@dataclass(frozen=True)
class MotScores:
    """Figures of a sequence; None where one is undefined (no truth, no match).

    Attributes
    ----------
    mota, idf1
        Fractions, at a similarity of at least one half (of boxes: intersection over union).
    hota
        Fraction, mean over all thresholds.
    mean_similarity
        Of the matches.
    id_switches, fragments, misses, false_positives, matches, truth_rows
        Counts.
    ospa, ospa_cutoff
        [px] of the boxes' centers or [m] of positions, with order 2.
    people, frames
        Numbers of them in the truth.
    neutral
        Rows of tracks that were not scored, as they lay on a truth that is nobody to be tracked.
    """

    mota: float | None
    idf1: float | None
    hota: float | None
    id_switches: int
    ospa: float | None
    mean_similarity: float | None
    fragments: int
    misses: int
    false_positives: int
    matches: int
    truth_rows: int
    people: int
    frames: int
    neutral: int
    ospa_cutoff: float


@dataclass(frozen=True)
class MotSequence:
    """A recorded sequence, fit to be tracked and scored."""

    #: up to the last frame
    detections: MotTable
    #: true boxes and ids
    truth: MotTable
    #: what is known of the images
    info: SequenceInfo
    #: to be scored: that of the seqinfo.ini, or of the truth where that goes on for longer
    last_frame: int
    #: detections after the last frame, which are left out
    num_late: int

    @classmethod
    def read(cls, detections_file: Path, truth_file: Path) -> MotSequence:
        """Read the two files, and the seqinfo.ini beside the first. Raises as `read_boxes`."""
        detections, truth = read_boxes(detections_file, truth_file)
        info = SequenceInfo.beside(detections_file)
        last_frame = int(max(info.length or 0, truth.frame[-1]))
        is_late = detections.frame > last_frame
        return cls(detections.take(~is_late), truth, info, last_frame, int(is_late.sum()))


def read_boxes(detections_file: Path, truth_file: Path) -> tuple[MotTable, MotTable]:
    """Read the detections and the truth of a sequence, fit to be tracked and scored.

    Returns
    -------
    detections, truth
        As they are in the files.

    Raises
    ------
    UserError
        When a file cannot be read, the truth is empty, or boxes or truth cannot be used.
    """
    detections = MotTable.read(detections_file)
    truth = MotTable.read(truth_file)
    if not len(truth):
        raise UserError(f'the truth in {truth_file} has no rows: there is nothing to compare with')
    check_boxes(truth, truth_file)
    check_boxes(detections, detections_file)
    check_truth(truth)
    return detections, truth


def score_boxes(
    tracks: MotTable, truth: MotTable, last_frame: int, ospa_cutoff_px: float = OSPA_CUTOFF_PX
) -> MotScores:
    """Score boxes by overlap.

    Parameters
    ----------
    tracks, truth
        Boxes under their ids; the truth must pass `check_truth`.
    last_frame
        Frames 1..last_frame are scored.
    ospa_cutoff_px
        [px] what one box too few or too many costs.

    Raises
    ------
    UserError
        When trackeval is missing.
    """
    scored = _is_scored(truth)
    neutral = _on_neutral(tracks, truth, scored, last_frame)
    tracks = tracks.take(~neutral)
    people = truth.take(scored)
    rows = _occupied(people, tracks, last_frame)
    overlaps = [box_overlap(people.box[g], tracks.box[h]) for g, h in rows]
    distances = [_distances(centers(people.box[g]), centers(tracks.box[h])) for g, h in rows]
    ids = Similarities([people.id[g] for g, _ in rows], [tracks.id[h] for _, h in rows], overlaps)
    return MotScores(
        hota=hota(ids),
        ospa=mean_ospa(distances, ospa_cutoff_px),
        people=len(np.unique(people.id)),
        frames=last_frame,
        neutral=int(neutral.sum()),
        ospa_cutoff=ospa_cutoff_px,
        **clear_and_identity(ids),
    )


def score_positions(
    tracks: MotTable,
    truth: MotTable,
    last_frame: int,
    match_distance_m: float = 0.5,
    ospa_cutoff_m: float = 1.0,
) -> MotScores:
    """Score positions by distance in space, with the similarity of `metrics.evaluate`.

    Parameters
    ----------
    tracks, truth
        Positions under their ids.
    last_frame
        Frames 1..last_frame are scored.
    match_distance_m
        [m] largest distance of a match.
    ospa_cutoff_m
        [m] what one person too few or too many costs.

    Raises
    ------
    UserError
        When trackeval is missing.
    """
    rows = _occupied(truth, tracks, last_frame)
    distances = [_distances(truth.position[g], tracks.position[h]) for g, h in rows]
    closeness = [similarity(distance, match_distance_m) for distance in distances]
    ids = Similarities([truth.id[g] for g, _ in rows], [tracks.id[h] for _, h in rows], closeness)
    return MotScores(
        hota=hota(ids),
        ospa=mean_ospa(distances, ospa_cutoff_m),
        people=len(np.unique(truth.id)),
        frames=last_frame,
        neutral=0,
        ospa_cutoff=ospa_cutoff_m,
        **clear_and_identity(ids),
    )


def _occupied(truth: MotTable, tracks: MotTable, last_frame: int) -> list[tuple[slice, slice]]:
    """Rows of truth and tracks in each of the frames 1..last_frame in which there are any.

    Frames in which nothing is count in no score, and a stray frame number makes very many of them.
    """
    frames = np.unique(np.concatenate([truth.frame, tracks.frame]))
    frames = frames[(frames >= 1) & (frames <= last_frame)]
    return list(zip(truth.rows_of(frames), tracks.rows_of(frames)))


def _is_scored(truth: MotTable) -> np.ndarray:
    """(B,) bool: the rows of people whose flag does not say that they are to be left out."""
    return (truth.confidence != 0) & (truth.kind == PERSON)


def left_out(truth: MotTable) -> dict[str, int]:
    """Count the rows of a truth that are not scored, by reason."""
    flagged = truth.confidence == 0
    counts = {'flag 0 (column 7)': int(flagged.sum())}
    kinds, numbers = np.unique(truth.kind[~flagged], return_counts=True)
    for kind, number in zip(kinds, numbers):
        if kind != PERSON:
            counts[f'class {kind} (column 8)'] = int(number)
    return {reason: count for reason, count in counts.items() if count}


def longest_gap(truth: MotTable) -> tuple[int, int] | None:
    """Find the frames before and after the longest pause of a truth; None if its length is usual.

    Unusual is a pause that is longer than all else, and than _ODD_GAP.
    """
    frames = np.unique(truth.frame)
    if len(frames) < 2:
        return None
    widest = int(np.argmax(np.diff(frames)))
    first = int(frames[widest])
    second = int(frames[widest + 1])
    return (first, second) if second - first > max(_ODD_GAP, len(frames)) else None


def check_boxes(table: MotTable, name) -> None:
    """Refuse boxes that are fractions of the image.

    Parameters
    ----------
    table
        Boxes, which ought to be in pixels.
    name
        Whose they are, for the message.

    Raises
    ------
    UserError
        When no box reaches beyond a pixel and a half.
    """
    farthest = np.abs(table.box).max(initial=0.0)
    if farthest <= _FRACTION and (table.box % 1 != 0).any():
        raise UserError(
            f'{name}: no box reaches beyond {farthest:.2f} pixels, fractions of the image? '
            'Multiply left and width by its width, top and height by its height'
        )


def check_truth(truth: MotTable) -> None:
    """Refuse a truth that cannot be scored.

    Raises
    ------
    UserError
        When it has nobody to score, does not say who is who, has somebody twice in a frame, or
        boxes without area.
    """
    if len(truth) and not _is_scored(truth).any():
        reasons = ', '.join(f'{count} with {reason}' for reason, count in left_out(truth).items())
        raise UserError(
            f'no row of the truth is to be scored: of {len(truth)} rows {reasons}; a person '
            f'to score has flag 1 in column 7 and class {PERSON} in column 8, or no such columns'
        )
    nameless = np.flatnonzero(truth.id < 0)
    if nameless.size:
        first = nameless[0]
        raise UserError(
            f'the truth has the id {truth.id[first]} in frame {truth.frame[first]}: '
            'it must say who is who (is this a file of detections?)'
        )
    flat = np.flatnonzero((truth.box[:, 2:] <= 0).any(axis=1))
    if flat.size:
        raise UserError(f'the truth has a box without area in frame {truth.frame[flat[0]]}')
    order = np.lexsort((truth.id, truth.frame))
    ids = truth.id[order]
    frames = truth.frame[order]
    twice = np.flatnonzero((np.diff(frames) == 0) & (np.diff(ids) == 0))
    if twice.size:
        raise UserError(f'the truth has the id {ids[twice[0]]} twice in frame {frames[twice[0]]}')


def _on_neutral(
    tracks: MotTable, truth: MotTable, scored: np.ndarray, last_frame: int
) -> np.ndarray:
    """(T,) bool: track rows whose match in the whole truth is of a neutral kind."""
    neutral = np.zeros(len(tracks), bool)
    kinds = np.isin(truth.kind, NEUTRAL_KINDS) & ~scored
    if not kinds.any():
        return neutral
    for g, h in zip(truth.frames(last_frame), tracks.frames(last_frame)):
        overlap = box_overlap(truth.box[g], tracks.box[h])
        overlap[overlap < _LEAST_OVERLAP - np.finfo(float).eps] = 0.0
        rows, columns = linear_sum_assignment(-overlap)
        matched = overlap[rows, columns] > 0
        neutral[h.start + columns[matched]] = kinds[g.start + rows[matched]]
    return neutral


def _distances(points_a: np.ndarray, points_b: np.ndarray) -> np.ndarray:
    """Distances (A, B) between (A, d) and (B, d) points."""
    return np.linalg.norm(points_a[:, None] - points_b, axis=-1)
