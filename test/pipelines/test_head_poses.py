# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses as a table: what is known is there, and what is not is empty."""

import csv

import numpy as np
from turned_heads import true_rotation

from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame
from av_perception.pipelines.head_poses import COLUMNS, write_head_poses

ORIGIN_NS = 5_000_000_000


def test_rows_of_known_and_unknown_heads(tmp_path):
    rotation = true_rotation((2, 0, 0), (0.2, 0, 0))
    known = HeadPoseEstimate(
        3,
        rotation,
        np.diag([0.01, 0.02, 0.03]),
        ORIGIN_NS + 40_000_000,
        0.875,
        True,
        0,
        {4: 0.25, 5: 0.5},
    )
    frame = HeadPoseFrame(ORIGIN_NS + 80_000_000, (known, HeadPoseEstimate(4)))
    path = tmp_path / 'gaze.csv'
    write_head_poses([frame], path, ORIGIN_NS)
    first, second = csv.DictReader(path.open(newline=''))
    assert tuple(first) == COLUMNS
    assert (first['time'], first['last_measured']) == ('0.080', '0.040')
    assert (first['id'], first['known'], first['facing']) == ('3', '1', '1')
    assert float(first['czz']) == 0.03 and float(first['cxy']) == 0
    assert (first['other'], first['other_probability']) == ('5', '0.500')
    quaternion = [float(first[name]) for name in ('qx', 'qy', 'qz', 'qw')]
    assert np.linalg.norm(quaternion) - 1 < 1e-5
    assert (second['known'], second['facing'], second['facing_probability']) == ('0', '0', '')
    assert second['qw'] == '' and second['last_measured'] == ''
