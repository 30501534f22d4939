"""How well people were tracked: CLEAR MOT, identity, OSPA.

MOTA = 1 - (misses + false positives + id switches) / truth rows, MOTP and the matching: Bernardin and Stiefelhagen 2008;
IDF1: Ristani et al. 2016; both by TrackEval. OSPA of order p and cutoff c: Schuhmacher, Vo and Vo 2008, eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.errors import UserError
from av_perception.evaluation.frames import Frames


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
        kept = np.array([[partner.get(person) == track for track in track_ids.tolist()] for person in ids.tolist()])
        gain = np.where(distance <= gate, similarity(distance, gate) + 1000.0 * kept, 0.0)
        rows, columns = linear_sum_assignment(-gain)
        chosen = gain[rows, columns] > 0
        rows, columns = rows[chosen], columns[chosen]
        partner = dict(zip(ids[rows].tolist(), track_ids[columns].tolist()))
        found += zip((truth.start + rows).tolist(), (tracks.start + columns).tolist(), distance[rows, columns].tolist())
    columns = np.array(found, float).reshape(-1, 3)
    return Pairs(columns[:, 0].astype(int), columns[:, 1].astype(int), columns[:, 2])


def similarity(distance: np.ndarray, gate: float) -> np.ndarray:
    """1 at distance 0, TrackEval's threshold 0.5 at the gate, 0 from twice the gate on."""
    return np.maximum(0.0, 1.0 - distance / (2 * gate))


def clear_and_identity(frames: Frames, distances: list[np.ndarray], gate: float) -> dict:
    """`mota`, `motp` (mean distance of matches), `idf1` (None where undefined), `id_switches`, `fragments`, `misses`, `false_positives`."""
    try:
        from trackeval.metrics import CLEAR, Identity
    except ImportError as error:
        raise UserError("evaluation needs the package trackeval: pip install 'av_perception[evaluation]'") from error
    quiet = {'THRESHOLD': 0.5, 'PRINT_CONFIG': False}
    data = _trackeval_data(frames, distances, gate)
    clear, identity = CLEAR(dict(quiet)).eval_sequence(data), Identity(dict(quiet)).eval_sequence(data)
    people, tracks, matches = data['num_gt_dets'], data['num_tracker_dets'], int(clear['CLR_TP'])
    return {
        'mota': float(clear['MOTA']) if people else None,
        'motp': float(1 - clear['MOTP']) * 2 * gate if matches else None,
        'idf1': float(identity['IDF1']) if people + tracks else None,
        'id_switches': int(clear['IDSW']), 'fragments': int(clear['Frag']),
        'misses': int(clear['CLR_FN']), 'false_positives': int(clear['CLR_FP']), 'matches': matches, 'truth_rows': people,
    }


def _trackeval_data(frames: Frames, distances: list[np.ndarray], gate: float) -> dict:
    """What TrackEval's metric classes read: per frame zero-based ids and similarities."""
    people, person = np.unique(frames.truth.id, return_inverse=True)
    ids, track = np.unique(frames.tracks.id, return_inverse=True)
    return {
        'num_gt_dets': len(person), 'num_gt_ids': len(people), 'num_tracker_dets': len(track), 'num_tracker_ids': len(ids),
        'num_timesteps': len(frames.time_s),
        'gt_ids': [person[truth] for truth, _ in frames.rows], 'tracker_ids': [track[tracks] for _, tracks in frames.rows],
        'similarity_scores': [similarity(distance, gate) for distance in distances],
    }


def ospa(distance: np.ndarray, cutoff: float, order: float = 2.0) -> float:
    """OSPA distance of two sets from their (m, n) distances; 0 if both are empty.

    ((min over permutations of sum min(c, d)^p + c^p |n - m|) / max(m, n))^(1/p) with cutoff c and order p.
    """
    most = max(distance.shape)
    if most == 0:
        return 0.0
    cost = np.minimum(distance, cutoff) ** order
    rows, columns = linear_sum_assignment(cost)
    return float(((cost[rows, columns].sum() + cutoff ** order * (most - min(distance.shape))) / most) ** (1 / order))


def mean_ospa(frames: Frames, cutoff_m: float, order: float = 2.0) -> float | None:
    """Mean OSPA [m] over the frames that hold anybody, in truth or tracks; None without such a frame."""
    values = [ospa(distance, cutoff_m, order) for distance in frames.distances_m if max(distance.shape)]
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
