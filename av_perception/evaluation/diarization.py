# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who spoke when: diarization error rate, DER = (missed + false alarm + confused speech) / speech, by pyannote.metrics.

Speech of every frame lasts one frame period, centred on the frame. A collar (total width, centred) around each boundary of the true
segments is not scored; overlapped speech is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.scoring_packages import missing_package


@dataclass(frozen=True)
class DiarizationScores:
    """Times in seconds, `der` as a fraction of the true speech; None when nobody speaks in the truth."""

    der: float | None
    missed_s: float
    false_alarm_s: float
    confusion_s: float
    speech_s: float


def diarization_scores(
    frames: Frames, people: np.ndarray, collar_s: float = 0.25
) -> tuple[DiarizationScores, DiarizationScores]:
    """DER with the given labels and DER with the mapping of ids to people that is best for it.

    people: (M,) truth id every track row stands for, -1 for nobody. The first is about who spoke where; the second asks only whether the
    voices were told apart.
    """
    try:
        from pyannote.core import Segment, Timeline
        from pyannote.metrics.diarization import DiarizationErrorRate
        from pyannote.metrics.identification import IdentificationErrorRate
    except ImportError as error:
        raise missing_package('pyannote.metrics') from error
    if not frames.truth.speaking.any():
        return (_without_speech(frames),) * 2
    truth, tracks = frames.truth, frames.tracks
    reference = _annotation(
        frames, frames.truth_frame, truth.id, truth.speaking, [f'person {i}' for i in truth.id]
    )
    labels = [f'person {p}' if p >= 0 else f'id {i}' for p, i in zip(people, tracks.id)]
    by_position = _annotation(frames, frames.track_frame, tracks.id, tracks.speaking, labels)
    by_id = _annotation(
        frames, frames.track_frame, tracks.id, tracks.speaking, [f'id {i}' for i in tracks.id]
    )
    half = frames.period_s / 2
    scored = Timeline([Segment(frames.time_s[0] - half, frames.time_s[-1] + half)])
    options = {'collar': collar_s, 'skip_overlap': False}
    return (
        _scores(
            IdentificationErrorRate(**options)(reference, by_position, uem=scored, detailed=True)
        ),
        _scores(DiarizationErrorRate(**options)(reference, by_id, uem=scored, detailed=True)),
    )


def _annotation(
    frames: Frames, frame: np.ndarray, ids: np.ndarray, speaking: np.ndarray, labels: list[str]
):
    """Consecutive frames of one id with one label become one segment; two ids may carry the same label at once."""
    from pyannote.core import Annotation, Segment

    annotation, half, labels = Annotation(), frames.period_s / 2, np.array(labels)
    for track in np.unique(ids):
        rows = np.flatnonzero((ids == track) & speaking)
        if not rows.size:
            continue
        breaks = (
            np.flatnonzero((np.diff(frame[rows]) > 1) | (labels[rows[1:]] != labels[rows[:-1]]))
            + 1
        )
        for run in np.split(rows, breaks):
            begin, end = frames.time_s[frame[run[0]]] - half, frames.time_s[frame[run[-1]]] + half
            annotation[Segment(begin, end), int(track)] = str(labels[run[0]])
    return annotation


def _scores(detail: dict) -> DiarizationScores:
    missed, false_alarm, confusion = (
        float(detail[key]) for key in ('missed detection', 'false alarm', 'confusion')
    )
    speech = float(detail['total'])
    der = (missed + false_alarm + confusion) / speech if speech > 0 else None
    return DiarizationScores(der, missed, false_alarm, confusion, speech)


def _without_speech(frames: Frames) -> DiarizationScores:
    return DiarizationScores(
        None, 0.0, float(frames.tracks.speaking.sum() * frames.period_s), 0.0, 0.0
    )
