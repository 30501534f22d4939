"""Tables of truth and tracks, small enough to score by hand."""

import numpy as np
from av_perception.recording import TrackTable, TruthTable


PERIOD = 0.04


NORTH, WEST, EAST = (2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, -2.0, 0.0)


def truth_table(rows):
    """rows: (frame, id, position[, speaking[, visible]])."""
    rows = [(*row, *(False, True)[len(row) - 3:]) for row in rows]
    frame, ids, position, speaking, visible = zip(*rows) if rows else ((),) * 5
    return TruthTable(np.array(frame, float) * PERIOD, ids, np.array(position, float).reshape(-1, 3), speaking, visible)


def track_table(rows, offset_s=0.0, status='active', seen=True):
    """rows: (frame, id, position[, speaking])."""
    rows = [(*row, *(False,)[len(row) - 3:]) for row in rows]
    frame, ids, position, speaking = zip(*rows) if rows else ((),) * 4
    count = len(rows)
    return TrackTable(np.array(frame, float) * PERIOD + offset_s, ids, np.array(position, float).reshape(-1, 3), np.zeros((count, 3)),
                      np.tile([0.01, 0, 0, 0.01, 0, 0.01], (count, 1)), [status] * count, [seen] * count, [False] * count,
                      np.array(speaking, float), speaking)


def still(person, position, frames, *flags):
    return [(frame, person, position, *flags) for frame in frames]


def moved(position, by):
    return tuple(np.add(position, by))


def two_people(frames=10):
    return still(1, NORTH, range(frames)) + still(2, WEST, range(frames))
