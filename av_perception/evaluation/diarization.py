# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who spoke when: the diarization error rate, by pyannote.metrics.

DER = (missed + false alarm + confused speech) / speech. Speech of every frame lasts one frame
period, centered on the frame. A collar (total width, centered) around each boundary of the true
segments is not scored; overlapped speech is. Where an image was lost the last status holds for a
while, see `frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.scoring_packages import missing_package
from av_perception.evaluation.tracking_metrics import Pairs


@dataclass(frozen=True)
class DiarizationScores:
    """Errors of diarization.

    Attributes
    ----------
    der
        Fraction of the true speech; None when nobody speaks in the truth.
    missed_s, false_alarm_s, confusion_s, speech_s
        [s] the parts of the error, and the true speech.
    """

    der: float | None
    missed_s: float
    false_alarm_s: float
    confusion_s: float
    speech_s: float


def assigned_people(frames: Frames, pairs: Pairs) -> np.ndarray:
    """Tell whom each track row stands for.

    That is the person matched in the frame. An unmatched row keeps the last person its id was
    matched to, before the first match the first one, unless that person is matched to another id
    in between: then the track is a ghost, which stands for nobody.

    Parameters
    ----------
    frames
        Truth and M scored rows of tracks.
    pairs
        Their matches by place.

    Returns
    -------
    np.ndarray
        (M,) ids of the truth, -1 for nobody's.
    """
    people = np.full(len(frames.tracks), -1, np.int64)
    matched = np.zeros(len(frames.tracks), bool)
    matched[pairs.track_row] = True
    people[pairs.track_row] = frames.truth.id[pairs.truth_row]
    found_in = _frames_of_matches(frames, pairs)
    for track_id in np.unique(frames.tracks.id):
        rows = np.flatnonzero(frames.tracks.id == track_id)
        known = rows[matched[rows]]
        lost = rows[~matched[rows]]
        if not known.size:
            continue
        last = np.maximum(np.searchsorted(known, lost, side='right') - 1, 0)
        for row, match_row in zip(lost, known[last]):
            person = int(people[match_row])
            between = sorted((frames.track_frame[row], frames.track_frame[match_row]))
            # This id's own match is one of them; it has no other there.
            if _count_within(found_in[person], *between) == 1:
                people[row] = person
    return people


def _frames_of_matches(frames: Frames, pairs: Pairs) -> dict[int, np.ndarray]:
    """Person -> the frames, growing, in which a track was matched to them."""
    ids = frames.truth.id[pairs.truth_row]
    frame = frames.truth_frame[pairs.truth_row]
    return {int(person): frame[ids == person] for person in np.unique(ids)}


def _count_within(growing: np.ndarray, first: int, last: int) -> int:
    """How many of the values lie in first..last."""
    low = np.searchsorted(growing, first, side='left')
    return int(np.searchsorted(growing, last, side='right') - low)


def diarization_scores(
    frames: Frames, people: np.ndarray, collar_s: float = 0.25
) -> tuple[DiarizationScores, DiarizationScores]:
    """Score who spoke, by place and by id.

    Parameters
    ----------
    frames, people
        Truth and M scored rows of tracks; (M,) truth ids they stand for, -1 for nobody.
    collar_s
        [s] unscored time around each boundary of the true segments, in all.

    Returns
    -------
    tuple
        Scores with the given people: who spoke where; and with the mapping of ids to people that
        is best for them: were the voices told apart.

    Raises
    ------
    UserError
        When pyannote.metrics is missing.
    """
    identification, diarization = _error_rates(collar_s)
    if not frames.truth.speaking.any():
        return _without_speech(frames), _without_speech(frames)
    truth = frames.truth
    tracks = frames.tracks
    rows, frame = frames.shown_rows
    names = [f'person {i}' for i in truth.id]
    reference = _annotation(frames, frames.truth_frame, truth.id, truth.speaking, names)
    by_id = [f'id {i}' for i in tracks.id]
    by_place = [f'person {p}' if p >= 0 else name for p, name in zip(people, by_id)]
    scores = []
    for metric, labels in ((identification, by_place), (diarization, by_id)):
        label = np.array(labels, dtype=str)[rows]
        estimate = _annotation(frames, frame, tracks.id[rows], tracks.speaking[rows], label)
        scores.append(_scores(metric(reference, estimate, uem=_scored(frames), detailed=True)))
    return scores[0], scores[1]


def _error_rates(collar_s: float):
    """Metrics of pyannote that compare labels as they stand, and under the best mapping."""
    try:
        from pyannote.metrics.diarization import DiarizationErrorRate
        from pyannote.metrics.identification import IdentificationErrorRate
    except ImportError as error:
        raise missing_package('pyannote.metrics') from error
    return (
        IdentificationErrorRate(collar=collar_s, skip_overlap=False),
        DiarizationErrorRate(collar=collar_s, skip_overlap=False),
    )


def _scored(frames: Frames):
    """Timeline of pyannote from the begin of the first frame to the end of the last."""
    from pyannote.core import Segment, Timeline

    half = frames.period_s / 2
    return Timeline([Segment(frames.time_s[0] - half, frames.time_s[-1] + half)])


def _annotation(
    frames: Frames,
    frame: np.ndarray,
    ids: np.ndarray,
    speaking: np.ndarray,
    labels: Sequence[str] | np.ndarray,
):
    """Annotation of pyannote: consecutive frames of one id with one label become one segment.

    Two ids may carry the same label at once.
    """
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    half = frames.period_s / 2
    label = np.array(labels)
    for track in np.unique(ids):
        rows = np.flatnonzero((ids == track) & speaking)
        if not rows.size:
            continue
        interrupted = np.diff(frame[rows]) > 1
        relabeled = label[rows[1:]] != label[rows[:-1]]
        for run in np.split(rows, np.flatnonzero(interrupted | relabeled) + 1):
            begin = frames.time_s[frame[run[0]]] - half
            end = frames.time_s[frame[run[-1]]] + half
            annotation[Segment(begin, end), int(track)] = str(label[run[0]])
    return annotation


def _scores(detail: dict) -> DiarizationScores:
    missed = float(detail['missed detection'])
    false_alarm = float(detail['false alarm'])
    confusion = float(detail['confusion'])
    speech = float(detail['total'])
    der = (missed + false_alarm + confusion) / speech if speech > 0 else None
    return DiarizationScores(der, missed, false_alarm, confusion, speech)


def _without_speech(frames: Frames) -> DiarizationScores:
    """Scores when nobody speaks in the truth: all speech is false alarm."""
    rows, _ = frames.shown_rows
    false_alarm_s = float(frames.tracks.speaking[rows].sum() * frames.period_s)
    return DiarizationScores(None, 0.0, false_alarm_s, 0.0, 0.0)
