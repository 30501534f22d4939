# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the people of a recording really are, as messages."""

from __future__ import annotations

import numpy as np
from av_perception_msgs.msg import TruthArray, TruthPerson
from geometry_msgs.msg import Point

from av_perception.recording.tables import TruthTable
from av_perception.ros.conversions import header


def truth_to_msg(truth: TruthTable, time_s: float, stamp_ns: int, frame_id: str) -> TruthArray:
    """Say where the people are at one moment of the truth.

    Parameters
    ----------
    truth
        Of the whole recording.
    time_s
        One of its moments [s].
    stamp_ns
        The same as a stamp [ns].
    frame_id
        The frame of the positions.
    """
    people = [
        TruthPerson(
            id=int(truth.id[row]),
            position=Point(**dict(zip('xyz', map(float, truth.position[row])))),
            speaking=bool(truth.speaking[row]),
            visible=bool(truth.visible[row]),
        )
        for row in np.flatnonzero(truth.time_s == time_s)
    ]
    return TruthArray(header=header(stamp_ns, frame_id), people=people)
