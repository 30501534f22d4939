# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well people were tracked: CLEAR MOT, identity, HOTA, OSPA.

MOTA = 1 - (misses + false positives + id switches) / truth rows, MOTP and the matching: Bernardin and Stiefelhagen 2008;
IDF1: Ristani et al. 2016; HOTA: Luiten et al. 2021; all by TrackEval. OSPA of order p and cutoff c: Schuhmacher, Vo and Vo 2008, eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.scoring_packages import missing_package


@dataclass(frozen=True)
class Pairs:
    """Matched rows: truth_row[i] and track_row[i] of a Frames, in the order of time; distance: (P,) in the unit of the matching."""

    truth_row: np.ndarray
    track_row: np.ndarray
    distance: np.ndarray


def match(frames: Frames, distances: list[np.ndarray], gate: float) -> Pairs:
    """Match people and tracks frame by frame as CLEAR MOT does.

    A pair of the previous frame stays while it is within `gate` (the unit of `distances`), whoever else is nearer; the others are
    matched so that the sum of distances is least.
    """
    partner: dict[int, int] = {}
    found: list[tuple[int, int, float]] = []
    for (truth, tracks), distance in zip(frames.rows, distances):
        if not distance.size:
            continue
        ids, track_ids = frames.truth.id[truth], frames.tracks.id[tracks]
        kept = np.array(
            [
                [partner.get(person) == track for track in track_ids.tolist()]
                for person in ids.tolist()
            ]
        )
        gain = np.where(distance <= gate, similarity(distance, gate) + 1000.0 * kept, 0.0)
        rows, columns = linear_sum_assignment(-gain)
        chosen = gain[rows, columns] > 0
        rows, columns = rows[chosen], columns[chosen]
        partner = dict(zip(ids[rows].tolist(), track_ids[columns].tolist()))
        found += zip(
            (truth.start + rows).tolist(),
            (tracks.start + columns).tolist(),
            distance[rows, columns].tolist(),
        )
    columns = np.array(found, float).reshape(-1, 3)
    return Pairs(columns[:, 0].astype(int), columns[:, 1].astype(int), columns[:, 2])


def similarity(distance: np.ndarray, gate: float) -> np.ndarray:
    """1 at distance 0, TrackEval's threshold 0.5 at the gate, 0 from twice the gate on."""
    return np.maximum(0.0, 1.0 - distance / (2 * gate))


@dataclass(frozen=True)
class Similarities:
    """What TrackEval scores: per frame the ids of truth and of tracks (each id at most once) and their (truth, tracks) similarities."""

    truth_ids: list[np.ndarray]
    track_ids: list[np.ndarray]
    similarity: list[np.ndarray]

    @cached_property
    def data(self) -> dict:
        """As TrackEval's metric classes read it: zero-based ids, and counts."""
        people, person = np.unique(_joined(self.truth_ids), return_inverse=True)
        ids, track = np.unique(_joined(self.track_ids), return_inverse=True)
        return {
            'num_gt_dets': len(person),
            'num_gt_ids': len(people),
            'num_tracker_dets': len(track),
            'num_tracker_ids': len(ids),
            'num_timesteps': len(self.truth_ids),
            'gt_ids': _divided(person, self.truth_ids),
            'tracker_ids': _divided(track, self.track_ids),
            'similarity_scores': self.similarity,
        }


def similarities(frames: Frames, distances: list[np.ndarray], gate: float) -> Similarities:
    """People and tracks of all frames, with distances that are `gate` as similarities of 0.5."""
    return Similarities(
        [frames.truth.id[truth] for truth, _ in frames.rows],
        [frames.tracks.id[tracks] for _, tracks in frames.rows],
        [similarity(distance, gate) for distance in distances],
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, int)


def _divided(values: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(values, np.cumsum([len(part) for part in like])[:-1]) if like else []


def clear_and_identity(scored: Similarities) -> dict:
    """CLEAR and identity figures of pairs with a similarity of at least 0.5.

    `mota`, `idf1`, `mean_similarity` of the matches (None where undefined), `id_switches`, `fragments`, `misses`, `false_positives`,
    `matches`, `truth_rows`.
    """
    quiet = {'THRESHOLD': 0.5, 'PRINT_CONFIG': False}
    clear, identity = (
        _metric(name)(dict(quiet)).eval_sequence(scored.data) for name in ('CLEAR', 'Identity')
    )
    people, tracks, matches = (
        scored.data['num_gt_dets'],
        scored.data['num_tracker_dets'],
        int(clear['CLR_TP']),
    )
    return {
        'mota': float(clear['MOTA']) if people else None,
        'idf1': float(identity['IDF1']) if people + tracks else None,
        'mean_similarity': float(clear['MOTP']) if matches else None,
        'id_switches': int(clear['IDSW']),
        'fragments': int(clear['Frag']),
        'misses': int(clear['CLR_FN']),
        'false_positives': int(clear['CLR_FP']),
        'matches': matches,
        'truth_rows': people,
    }


def hota(scored: Similarities) -> float | None:
    """Higher order tracking accuracy (Luiten et al. 2021), mean over the thresholds 0.05, 0.1 .. 0.95; None without truth and tracks."""
    if not scored.data['num_gt_dets'] + scored.data['num_tracker_dets']:
        return None
    return float(np.mean(_metric('HOTA')().eval_sequence(scored.data)['HOTA']))


def _metric(name: str):
    """A metric class of TrackEval."""
    try:
        from trackeval import metrics
    except ImportError as error:
        raise missing_package('trackeval') from error
    return getattr(metrics, name)


def ospa(distance: np.ndarray, cutoff: float, order: float = 2.0) -> float:
    """OSPA distance of two sets from their (m, n) distances; 0 if both are empty.

    ((min over permutations of sum min(c, d)^p + c^p |n - m|) / max(m, n))^(1/p) with cutoff c and order p.
    """
    most = max(distance.shape)
    if most == 0:
        return 0.0
    cost = np.minimum(distance, cutoff) ** order
    rows, columns = linear_sum_assignment(cost)
    return float(
        ((cost[rows, columns].sum() + cutoff**order * (most - min(distance.shape))) / most)
        ** (1 / order)
    )


def mean_ospa(distances: list[np.ndarray], cutoff: float, order: float = 2.0) -> float | None:
    """Mean OSPA over the frames that hold anybody, in truth or tracks, from the frames' (people, tracks) distances; None without any."""
    values = [ospa(distance, cutoff, order) for distance in distances if max(distance.shape)]
    return float(np.mean(values)) if values else None


def assigned_people(frames: Frames, pairs: Pairs) -> np.ndarray:
    """(M,) truth id each track row stands for, -1 for nobody's.

    The person matched in the frame; an unmatched row keeps the last person its id was matched to, before the first match the first one.
    """
    people = np.full(len(frames.tracks), -1, np.int64)
    matched = np.zeros(len(frames.tracks), bool)
    matched[pairs.track_row] = True
    people[pairs.track_row] = frames.truth.id[pairs.truth_row]
    for track_id in np.unique(frames.tracks.id):
        rows = np.flatnonzero(frames.tracks.id == track_id)
        known = np.flatnonzero(matched[rows])
        if known.size:
            last = np.clip(np.searchsorted(known, np.arange(len(rows)), side='right') - 1, 0, None)
            people[rows] = people[rows[known[last]]]
    return people
