# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All figures of merit of a tracker's output: where (MOTA, MOTP, IDF1, OSPA, RMSE, azimuth) and who spoke (DER).

Fractions lie in 0..1 (MOTA may be negative), metres, degrees; None where a figure is undefined (no truth, no match, no speech).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from av_perception.evaluation.diarization import DiarizationScores, diarization_scores
from av_perception.evaluation.frames import Frames, align
from av_perception.evaluation.tracking_metrics import (
    Pairs,
    assigned_people,
    clear_and_identity,
    match,
    mean_ospa,
    similarities,
)
from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.recording.tables import TrackTable, TruthTable

KEPT_SHARE = 0.8


@dataclass(frozen=True)
class Scores:
    """The figures of one group of people. motp_m: mean distance of matches, None where they are matched by direction.

    position_rmse_m and the azimuth errors are over matched pairs; azimuth_error_deg is their mean, *_speaking_deg over the
    frames in which the person speaks. der: speech attributed by position; diarization_optimal: by the best mapping of ids.
    """

    mota: float | None
    motp_m: float | None
    idf1: float | None
    id_switches: int
    fragments: int
    misses: int
    false_positives: int
    matches: int
    truth_rows: int
    ospa_m: float | None
    position_rmse_m: float | None
    azimuth_error_deg: float | None
    azimuth_error_median_deg: float | None
    azimuth_error_speaking_deg: float | None
    der: float | None
    diarization: DiarizationScores
    diarization_optimal: DiarizationScores


@dataclass(frozen=True)
class PersonCoverage:
    """How one person of the truth was covered. share: of their visible frames (of all, if never visible) under their commonest track id."""

    track_id: int | None
    share: float
    id_switches: int
    kept: bool


@dataclass(frozen=True)
class Metrics(Scores):
    """Scores of everybody, with those of seen and only-heard people apart.

    by_direction: the sections `all`, `seen`, `heard_only` matched by direction instead of position: sound alone tells no range.
    ids_kept: person -> whether one id covered at least 0.8 of their visible frames and never changed.
    unscored_rows: tracks tentative, sleeping, or off in time.
    """

    seen: Scores
    heard_only: Scores
    by_direction: dict[str, Scores]
    ids_kept: dict[int, bool]
    people: dict[int, PersonCoverage]
    num_frames: int
    duration_s: float
    unscored_rows: int
    match_distance_m: float
    match_angle_deg: float
    ospa_cutoff_m: float
    collar_s: float

    def to_dict(self) -> dict:
        """Nested plain types for json.dump: text keys, no NaN."""
        return _json_safe(asdict(self))


def evaluate(
    tracks: TrackTable,
    truth: TruthTable,
    match_distance_m: float = 0.5,
    match_angle_deg: float = 15.0,
    ospa_cutoff_m: float = 1.0,
    collar_s: float = 0.25,
) -> Metrics:
    """Compare tracks with the truth; see `frames` for what is scored. Raises ValueError for a bad option, UserError for a bad truth."""
    positive = {
        'match_distance_m': match_distance_m,
        'match_angle_deg': match_angle_deg,
        'ospa_cutoff_m': ospa_cutoff_m,
    }
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f'{name} must be positive, not {value}')
    if not (np.isfinite(collar_s) and collar_s >= 0):
        raise ValueError(f'collar_s must not be negative: {collar_s}')
    frames = align(tracks, truth)
    pairs = match(frames, frames.distances_m, match_distance_m)
    groups = {'all': frames, **_split(frames, pairs)}
    scores = {
        name: _score(group, match_distance_m, False, ospa_cutoff_m, collar_s)
        for name, group in groups.items()
    }
    angular = match(frames, frames.angles_deg, match_angle_deg)
    by_direction = {
        name: _score(group, match_angle_deg, True, ospa_cutoff_m, collar_s)
        for name, group in {'all': frames, **_split(frames, angular)}.items()
    }
    people = _coverage(frames, pairs)
    return Metrics(
        **vars(scores['all']),
        seen=scores['seen'],
        heard_only=scores['heard_only'],
        by_direction=by_direction,
        ids_kept={person: coverage.kept for person, coverage in people.items()},
        people=people,
        num_frames=len(frames.time_s),
        duration_s=len(frames.time_s) * frames.period_s,
        unscored_rows=frames.unscored,
        match_distance_m=match_distance_m,
        match_angle_deg=match_angle_deg,
        ospa_cutoff_m=ospa_cutoff_m,
        collar_s=collar_s,
    )


def _split(frames: Frames, pairs: Pairs) -> dict[str, Frames]:
    """Seen and only-heard people apart, each with the track rows that are theirs.

    A matched row goes with its person, an unmatched one (a false positive) with the person nearest in direction at the time; with
    nobody there, with what the track itself claims.
    """
    belongs_to_seen = frames.tracks.seen.copy()
    for (truth, tracks), angles in zip(frames.rows, frames.angles_deg):
        if angles.size:
            belongs_to_seen[tracks] = frames.truth.visible[truth][np.argmin(angles, axis=0)]
    belongs_to_seen[pairs.track_row] = frames.truth.visible[pairs.truth_row]
    visible = frames.truth.visible
    return {
        'seen': frames.select(visible, belongs_to_seen),
        'heard_only': frames.select(~visible, ~belongs_to_seen),
    }


def _score(
    frames: Frames, gate: float, by_direction: bool, ospa_cutoff_m: float, collar_s: float
) -> Scores:
    distances = frames.angles_deg if by_direction else frames.distances_m
    pairs = match(frames, distances, gate)
    counts = clear_and_identity(similarities(frames, distances, gate))
    closeness = counts.pop('mean_similarity')
    motp = None if by_direction or closeness is None else 2 * gate * (1 - closeness)
    truth, estimate = (
        frames.truth.position[pairs.truth_row],
        frames.tracks.position[pairs.track_row],
    )
    azimuth_error = np.degrees(
        np.abs(wrap_angle(angles_from_direction(truth)[0] - angles_from_direction(estimate)[0]))
    )
    diarization, optimal = diarization_scores(frames, assigned_people(frames, pairs), collar_s)
    squared_error = ((truth - estimate) ** 2).sum(axis=1)
    return Scores(
        **counts,
        motp_m=motp,
        ospa_m=mean_ospa(frames.distances_m, ospa_cutoff_m),
        position_rmse_m=_of(lambda values: np.sqrt(np.mean(values)), squared_error),
        azimuth_error_deg=_of(np.mean, azimuth_error),
        azimuth_error_median_deg=_of(np.median, azimuth_error),
        azimuth_error_speaking_deg=_of(
            np.mean, azimuth_error[frames.truth.speaking[pairs.truth_row]]
        ),
        der=diarization.der,
        diarization=diarization,
        diarization_optimal=optimal,
    )


def _coverage(frames: Frames, pairs: Pairs) -> dict[int, PersonCoverage]:
    track_of = np.full(len(frames.truth), -1, np.int64)
    matched = np.zeros(len(frames.truth), bool)
    matched[pairs.truth_row] = True
    track_of[pairs.truth_row] = frames.tracks.id[pairs.track_row]
    people = {}
    for person in np.unique(frames.truth.id):
        own = frames.truth.id == person
        counted = own & frames.truth.visible if (own & frames.truth.visible).any() else own
        in_time = track_of[own & matched]
        switches = int(np.count_nonzero(np.diff(in_time)))
        ids, counts = np.unique(track_of[counted & matched], return_counts=True)
        share = float(counts.max() / counted.sum()) if ids.size else 0.0
        dominant = int(ids[counts.argmax()]) if ids.size else None
        people[int(person)] = PersonCoverage(
            dominant, share, switches, share >= KEPT_SHARE and switches == 0
        )
    return people


def _of(reduce, values: np.ndarray) -> float | None:
    return float(reduce(values)) if values.size else None


def _json_safe(value):
    if isinstance(value, dict):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
