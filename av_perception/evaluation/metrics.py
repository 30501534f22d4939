# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All figures of merit of a tracker's output.

Where people were (MOTA, MOTP, IDF1, OSPA, RMSE, azimuth) and who spoke (DER). Fractions lie in
0..1 (MOTA may be negative), meters, degrees; None where a figure is undefined (no truth, no match,
no speech).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from av_perception.evaluation.diarization import (
    DiarizationScores,
    assigned_people,
    diarization_scores,
)
from av_perception.evaluation.frames import Frames, align
from av_perception.evaluation.ghosts import ghost_times, heard_pairs
from av_perception.evaluation.tracking_metrics import (
    Pairs,
    clear_and_identity,
    match,
    mean_ospa,
    similarities,
)
from av_perception.geometry.rigid_transform import angles_from_direction, wrap_angle
from av_perception.recording.tables import TrackTable, TruthTable

KEPT_SHARE = 0.8  # of a person's frames that one id has to cover


@dataclass(frozen=True)
class Scores:
    """Figures of one group of people.

    Attributes
    ----------
    mota, idf1
        CLEAR MOT and identity figures, fractions.
    motp_m
        [m] mean distance of matches, None where they are matched by direction.
    id_switches, fragments, misses, false_positives, matches, truth_rows
        Counts.
    ospa_m
        [m] mean over the frames that hold anybody.
    position_rmse_m, azimuth_error_deg, azimuth_error_median_deg
        [m], [deg] over matched pairs.
    azimuth_error_speaking_deg
        [deg] mean over matched pairs in whose frame the person speaks.
    der
        That of `diarization`.
    diarization
        Speech attributed by position.
    diarization_optimal
        Speech attributed by the best mapping of ids to people.
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
    """How one person of the truth was covered.

    Attributes
    ----------
    track_id
        The commonest id over them, None without any.
    share
        Of their visible frames (of all, if never visible), under that id.
    id_switches
        How often their id changed.
    kept
        Whether one id covered at least KEPT_SHARE of the frames and never changed.
    """

    track_id: int | None
    share: float
    id_switches: int
    kept: bool


@dataclass(frozen=True)
class Metrics(Scores):
    """Scores of everybody, with those of seen and only-heard people apart.

    Attributes
    ----------
    seen, heard_only
        Scores of the people that the camera sees, and of the others.
    by_direction
        Sections `all`, `seen`, `heard_only` matched by direction instead of position: sound alone
        tells no range.
    ids_kept
        Person -> whether they kept one id.
    people
        Person -> how they were covered.
    oldest_ghost_s
        [s] that a track of nobody was shown at most, see `ghosts`.
    num_frames, duration_s
        Of the truth.
    unscored_rows
        Rows of tracks tentative, sleeping, or off in time.
    held_images
        Images of the truth without a row of tracks, in whose place the last status was held.
    lost_images
        Images of the truth without a row of tracks for longer than that.
    match_distance_m, match_angle_deg, ospa_cutoff_m, collar_s
        What the figures were computed with.
    """

    seen: Scores
    heard_only: Scores
    by_direction: dict[str, Scores]
    ids_kept: dict[int, bool]
    people: dict[int, PersonCoverage]
    oldest_ghost_s: float
    num_frames: int
    duration_s: float
    unscored_rows: int
    held_images: int
    lost_images: int
    match_distance_m: float
    match_angle_deg: float
    ospa_cutoff_m: float
    collar_s: float

    def to_dict(self) -> dict:
        """Nested plain types for json.dump: text keys, no NaN."""
        return _json_safe(asdict(self))


@dataclass(frozen=True)
class _Options:
    """What the figures depend on: the options of `evaluate`. Raises ValueError."""

    match_distance_m: float
    match_angle_deg: float
    ospa_cutoff_m: float
    collar_s: float

    def __post_init__(self):
        for name in ('match_distance_m', 'match_angle_deg', 'ospa_cutoff_m'):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f'{name} must be positive, not {value}')
        if not (np.isfinite(self.collar_s) and self.collar_s >= 0):
            raise ValueError(f'collar_s must not be negative: {self.collar_s}')


def evaluate(
    tracks: TrackTable,
    truth: TruthTable,
    match_distance_m: float = 0.5,
    match_angle_deg: float = 15.0,
    ospa_cutoff_m: float = 1.0,
    collar_s: float = 0.25,
    answered_s: np.ndarray | None = None,
) -> Metrics:
    """Compare tracks with the truth; `frames` says what is scored.

    Parameters
    ----------
    tracks, truth
        What was said, and what was so.
    match_distance_m
        [m] farther than this an estimate is not of that person.
    match_angle_deg
        [deg] the same where matching is by direction.
    ospa_cutoff_m
        [m] what one person too few or too many costs.
    collar_s
        [s] unscored time around each boundary of true speech, in all.
    answered_s
        [s] times of the images of which something was said, see `align`.

    Raises
    ------
    ValueError
        For an option that is not positive, or a negative collar.
    UserError
        For a truth that cannot be scored, or a scoring package that is missing.
    """
    options = _Options(match_distance_m, match_angle_deg, ospa_cutoff_m, collar_s)
    return _evaluate_frames(align(tracks, truth, answered_s), options)


def _evaluate_frames(frames: Frames, options: _Options) -> Metrics:
    pairs = match(frames, frames.distances_m, options.match_distance_m)
    by_place = {
        name: _score_by_place(group, options)
        for name, group in {'all': frames, **_split(frames, pairs)}.items()
    }
    angular = match(frames, frames.angles_deg, options.match_angle_deg)
    by_direction = {
        name: _score_by_direction(group, options)
        for name, group in {'all': frames, **_split(frames, angular)}.items()
    }
    people = _coverage(frames, pairs)
    return Metrics(
        **vars(by_place['all']),
        seen=by_place['seen'],
        heard_only=by_place['heard_only'],
        by_direction=by_direction,
        ids_kept={person: coverage.kept for person, coverage in people.items()},
        people=people,
        oldest_ghost_s=float(ghost_times(frames, options.match_distance_m).max(initial=0.0)),
        num_frames=len(frames.time_s),
        duration_s=len(frames.time_s) * frames.period_s,
        unscored_rows=frames.unscored,
        held_images=int(frames.held.sum()),
        lost_images=int(frames.lost.sum()),
        **vars(options),
    )


def _split(frames: Frames, pairs: Pairs) -> dict[str, Frames]:
    """Seen and only-heard people apart, each with the track rows that are theirs.

    A matched row goes with its person. An unmatched one (a false positive) goes with the person
    who is heard there, else with the person nearest in direction at the time; with nobody there,
    with what the track itself claims.
    """
    belongs_to_seen = frames.tracks.seen.copy()
    for (truth, tracks), angles in zip(frames.rows, frames.angles_deg):
        if angles.size:
            belongs_to_seen[tracks] = frames.truth.visible[truth][np.argmin(angles, axis=0)]
    truth_row, track_row = heard_pairs(frames, pairs)
    belongs_to_seen[track_row] = frames.truth.visible[truth_row]
    belongs_to_seen[pairs.track_row] = frames.truth.visible[pairs.truth_row]
    visible = frames.truth.visible
    return {
        'seen': frames.select(visible, belongs_to_seen),
        'heard_only': frames.select(~visible, ~belongs_to_seen),
    }


def _score_by_place(frames: Frames, options: _Options) -> Scores:
    gate = options.match_distance_m
    counts = clear_and_identity(similarities(frames, frames.distances_m, gate))
    closeness = counts.pop('mean_similarity')
    # similarity = 1 - distance / (2 gate), see `similarity`
    motp_m = None if closeness is None else 2 * gate * (1 - closeness)
    pairs = match(frames, frames.distances_m, gate)
    return Scores(**counts, motp_m=motp_m, **_errors_of(frames, pairs, options))


def _score_by_direction(frames: Frames, options: _Options) -> Scores:
    gate = options.match_angle_deg
    counts = clear_and_identity(similarities(frames, frames.angles_deg, gate))
    counts.pop('mean_similarity')
    pairs = match(frames, frames.angles_deg, gate)
    return Scores(**counts, motp_m=None, **_errors_of(frames, pairs, options))


def _errors_of(frames: Frames, pairs: Pairs, options: _Options) -> dict:
    """Fields of `Scores` that are no counts of matches: errors in place, and diarization."""
    truth = frames.truth.position[pairs.truth_row]
    estimate = frames.tracks.position[pairs.track_row]
    squared_error = ((truth - estimate) ** 2).sum(axis=1)
    turned = angles_from_direction(truth)[0] - angles_from_direction(estimate)[0]
    azimuth_error = np.degrees(np.abs(wrap_angle(turned)))
    speaking = frames.truth.speaking[pairs.truth_row]
    people = assigned_people(frames, pairs)
    diarization, optimal = diarization_scores(frames, people, options.collar_s)
    return {
        'ospa_m': mean_ospa(frames.distances_m, options.ospa_cutoff_m),
        'position_rmse_m': _of(lambda values: np.sqrt(np.mean(values)), squared_error),
        'azimuth_error_deg': _of(np.mean, azimuth_error),
        'azimuth_error_median_deg': _of(np.median, azimuth_error),
        'azimuth_error_speaking_deg': _of(np.mean, azimuth_error[speaking]),
        'der': diarization.der,
        'diarization': diarization,
        'diarization_optimal': optimal,
    }


def _coverage(frames: Frames, pairs: Pairs) -> dict[int, PersonCoverage]:
    """How every person of the truth was covered, by id."""
    track_of = np.full(len(frames.truth), -1, np.int64)
    matched = np.zeros(len(frames.truth), bool)
    matched[pairs.truth_row] = True
    track_of[pairs.truth_row] = frames.tracks.id[pairs.track_row]
    people = {}
    for person in np.unique(frames.truth.id):
        own = frames.truth.id == person
        visible = own & frames.truth.visible
        counted = visible if visible.any() else own
        switches = int(np.count_nonzero(np.diff(track_of[own & matched])))
        ids, counts = np.unique(track_of[counted & matched], return_counts=True)
        share = float(counts.max() / counted.sum()) if ids.size else 0.0
        commonest = int(ids[counts.argmax()]) if ids.size else None
        kept = share >= KEPT_SHARE and switches == 0
        people[int(person)] = PersonCoverage(commonest, share, switches, kept)
    return people


def _of(reduce: Callable, values: np.ndarray) -> float | None:
    """Reduce the values to one, None if there are none."""
    return float(reduce(values)) if values.size else None


def _json_safe(value):
    """Nested plain types as JSON has them: text keys, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
