# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well people were tracked: CLEAR MOT, identity, HOTA, OSPA.

MOTA = 1 - (misses + false positives + id switches) / truth rows, MOTP and the matching: Bernardin
and Stiefelhagen 2008; IDF1: Ristani et al. 2016; HOTA: Luiten et al. 2021; all by TrackEval. OSPA
of order p and cutoff c: Schuhmacher, Vo and Vo 2008, eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.evaluation.frames import Frames
from av_perception.evaluation.scoring_packages import missing_package

_KEPT_GAIN = 1000.0  # more than all similarities of a frame: a pair of the previous frame stays


@dataclass(frozen=True)
class Pairs:
    """Matched rows of a `Frames`, in the order of time.

    Attributes
    ----------
    truth_row, track_row
        (P,) indices.
    distance
        (P,) in the unit of the matching.
    """

    truth_row: np.ndarray
    track_row: np.ndarray
    distance: np.ndarray


def match(frames: Frames, distances: list[np.ndarray], gate: float) -> Pairs:
    """Match people and tracks frame by frame as CLEAR MOT does.

    A pair of the previous frame stays while it is within the gate, whoever else is nearer; the
    others are matched so that the sum of distances is least.

    Parameters
    ----------
    frames
        Truth and scored tracks.
    distances
        Per frame (people, tracks).
    gate
        Largest distance of a match, in the unit of `distances`.
    """
    partner: dict[int, int] = {}
    matches: list[tuple[int, int, float]] = []
    for (truth, tracks), distance in zip(frames.rows, distances):
        if not distance.size:
            continue
        ids = frames.truth.id[truth]
        track_ids = frames.tracks.id[tracks]
        kept = _were_partners(ids, track_ids, partner)
        gain = np.where(distance <= gate, similarity(distance, gate) + _KEPT_GAIN * kept, 0.0)
        rows, columns = linear_sum_assignment(-gain)
        chosen = gain[rows, columns] > 0
        rows = rows[chosen]
        columns = columns[chosen]
        partner = dict(zip(ids[rows].tolist(), track_ids[columns].tolist()))
        matches += zip(
            (truth.start + rows).tolist(),
            (tracks.start + columns).tolist(),
            distance[rows, columns].tolist(),
        )
    joined = np.array(matches, float).reshape(-1, 3)
    return Pairs(joined[:, 0].astype(int), joined[:, 1].astype(int), joined[:, 2])


def _were_partners(ids: np.ndarray, track_ids: np.ndarray, partner: dict[int, int]) -> np.ndarray:
    """(people, tracks) bool: the previous frame's match of the person is this track."""
    return np.array(
        [[partner.get(person) == track for track in track_ids.tolist()] for person in ids.tolist()]
    )


def similarity(distance: np.ndarray, gate: float) -> np.ndarray:
    """Turn distances into 1 at 0, TrackEval's threshold 0.5 at the gate, 0 from twice it on."""
    return np.maximum(0.0, 1.0 - distance / (2 * gate))


@dataclass(frozen=True)
class Similarities:
    """What TrackEval scores.

    Attributes
    ----------
    truth_ids, track_ids
        Per frame the ids of truth and of tracks, each at most once.
    similarity
        Per frame (truth, tracks), in [0, 1].
    """

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
    """Compare people and tracks of all frames; distances of `gate` are similarities of 0.5."""
    return Similarities(
        [frames.truth.id[truth] for truth, _ in frames.rows],
        [frames.tracks.id[tracks] for _, tracks in frames.rows],
        [similarity(distance, gate) for distance in distances],
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, int)


def _divided(values: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """Cut values into parts as long as those of `like`: the inverse of `_joined`."""
    return np.split(values, np.cumsum([len(part) for part in like])[:-1]) if like else []


def clear_and_identity(scored: Similarities) -> dict:
    """Compute the CLEAR and identity figures of pairs with a similarity of at least 0.5.

    Returns
    -------
    dict
        `mota`, `idf1`, `mean_similarity` of the matches (None where undefined), `id_switches`,
        `fragments`, `misses`, `false_positives`, `matches`, `truth_rows`.

    Raises
    ------
    UserError
        When trackeval is missing.
    """
    options = {'THRESHOLD': 0.5, 'PRINT_CONFIG': False}
    clear = _metric('CLEAR')(dict(options)).eval_sequence(scored.data)
    identity = _metric('Identity')(dict(options)).eval_sequence(scored.data)
    truth_rows = scored.data['num_gt_dets']
    track_rows = scored.data['num_tracker_dets']
    matches = int(clear['CLR_TP'])
    return {
        'mota': float(clear['MOTA']) if truth_rows else None,
        'idf1': float(identity['IDF1']) if truth_rows + track_rows else None,
        'mean_similarity': float(clear['MOTP']) if matches else None,
        'id_switches': int(clear['IDSW']),
        'fragments': int(clear['Frag']),
        'misses': int(clear['CLR_FN']),
        'false_positives': int(clear['CLR_FP']),
        'matches': matches,
        'truth_rows': truth_rows,
    }


def hota(scored: Similarities) -> float | None:
    """Compute the higher order tracking accuracy (Luiten et al. 2021).

    It is the mean over the thresholds 0.05, 0.1 .. 0.95; None without truth and tracks.
    """
    if not scored.data['num_gt_dets'] + scored.data['num_tracker_dets']:
        return None
    return float(np.mean(_metric('HOTA')().eval_sequence(scored.data)['HOTA']))


def _metric(name: str):
    """Look up a metric class of TrackEval."""
    try:
        from trackeval import metrics
    except ImportError as error:
        raise missing_package('trackeval') from error
    return getattr(metrics, name)


def ospa(distance: np.ndarray, cutoff: float, order: float = 2.0) -> float:
    """Compute the OSPA distance of two sets (Schuhmacher, Vo and Vo 2008, eq. 3).

    ((min over permutations of sum min(c, d)^p + c^p |n - m|) / max(m, n))^(1/p) with cutoff c and
    order p.

    Parameters
    ----------
    distance
        (m, n) distances d between the members of the sets.
    cutoff
        c, in the unit of `distance`.
    order
        p.

    Returns
    -------
    float
        In the unit of `distance`; 0 if both sets are empty.
    """
    most = max(distance.shape)
    if most == 0:
        return 0.0
    cost = np.minimum(distance, cutoff) ** order
    rows, columns = linear_sum_assignment(cost)
    unpaired = cutoff**order * (most - min(distance.shape))
    return float(((cost[rows, columns].sum() + unpaired) / most) ** (1 / order))


def mean_ospa(distances: list[np.ndarray], cutoff: float, order: float = 2.0) -> float | None:
    """Average OSPA over the frames that hold anybody, in truth or tracks.

    Parameters
    ----------
    distances
        Per frame (people, tracks).
    cutoff, order
        As of `ospa`.

    Returns
    -------
    float or None
        In the unit of `distances`; None when no frame holds anybody.
    """
    values = [ospa(distance, cutoff, order) for distance in distances if max(distance.shape)]
    return float(np.mean(values)) if values else None
