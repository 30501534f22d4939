"""Boxes tracked in the image against the truth, as the MOT challenge scores them: by overlap, with TrackEval's metrics, and OSPA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.errors import UserError
from av_perception.evaluation.tracking_metrics import Similarities, clear_and_identity, hota, mean_ospa
from av_perception.recording.mot_text import PERSON, MotTable
from av_perception.tracking.input_check import box_overlap

OSPA_CUTOFF_PX = 50.0
# People on vehicles, static people, distractors, reflections: a track on one of them is neither right nor wrong (MOT16, section 4.1).
NEUTRAL_KINDS = (2, 7, 8, 12)
_LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class MotScores:
    """mota, idf1, hota: fractions, at an overlap (intersection over union) of at least one half, HOTA over all thresholds; ospa [px]: of
    the boxes' centres, with order 2 and ospa_cutoff_px; mean_overlap: of the matches. None: undefined (no truth, no match).
    neutral: rows of tracks that were not scored, as they lay on a truth that is nobody to be tracked.
    """

    mota: float | None
    idf1: float | None
    hota: float | None
    id_switches: int
    ospa: float | None
    mean_overlap: float | None
    fragments: int
    misses: int
    false_positives: int
    matches: int
    truth_rows: int
    people: int
    frames: int
    neutral: int
    ospa_cutoff_px: float


def score_boxes(tracks: MotTable, truth: MotTable, last_frame: int, ospa_cutoff_px: float = OSPA_CUTOFF_PX) -> MotScores:
    """Scores of frames 1..last_frame. Raises UserError for a truth that names nobody, somebody twice, or boxes without area."""
    _check_truth(truth)
    scored = (truth.confidence != 0) & (truth.kind == PERSON)
    neutral = _on_neutral(tracks, truth, scored, last_frame)
    tracks, people = tracks.take(~neutral), truth.take(scored)
    rows = list(zip(people.frames(last_frame), tracks.frames(last_frame)))
    overlaps = Similarities([people.id[g] for g, _ in rows], [tracks.id[h] for _, h in rows],
                            [box_overlap(people.box[g], tracks.box[h]) for g, h in rows])
    counts = clear_and_identity(overlaps)
    return MotScores(hota=hota(overlaps), ospa=mean_ospa([_distances(people.box[g], tracks.box[h]) for g, h in rows], ospa_cutoff_px),
                     mean_overlap=counts.pop('mean_similarity'), people=len(np.unique(people.id)), frames=last_frame,
                     neutral=int(neutral.sum()), ospa_cutoff_px=ospa_cutoff_px, **counts)


def _check_truth(truth: MotTable) -> None:
    if (truth.id < 0).any():
        frame = truth.frame[np.argmax(truth.id < 0)]
        raise UserError(f'the truth has the id {truth.id[truth.id < 0][0]} in frame {frame}: it must say who is who (is this a file of detections?)')
    if (truth.box[:, 2:] <= 0).any():
        frame = truth.frame[np.argmax((truth.box[:, 2:] <= 0).any(1))]
        raise UserError(f'the truth has a box without area in frame {frame}')
    order = np.lexsort((truth.id, truth.frame))
    twice = np.flatnonzero((np.diff(truth.frame[order]) == 0) & (np.diff(truth.id[order]) == 0))
    if twice.size:
        raise UserError(f'the truth has the id {truth.id[order][twice[0]]} twice in frame {truth.frame[order][twice[0]]}')


def _on_neutral(tracks: MotTable, truth: MotTable, scored: np.ndarray, last_frame: int) -> np.ndarray:
    """(T,) bool: track rows whose match in the truth, with everything in it, is of a neutral kind."""
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


def _distances(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """(A, B) distances [px] between the centres of boxes."""
    centers_a, centers_b = (boxes[:, :2] + boxes[:, 2:] / 2 for boxes in (boxes_a, boxes_b))
    return np.linalg.norm(centers_a[:, None] - centers_b, axis=-1)
