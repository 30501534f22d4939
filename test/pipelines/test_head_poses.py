# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Head poses as a table: what is known is there, and what is not is empty."""

import csv
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from turned_heads import (
    CAMERA,
    TurnedMesh,
    face_at,
    frame,
    honest_model,
    track,
    true_rotation,
)

from av_perception.errors import UserError
from av_perception.head_pose import estimator
from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame
from av_perception.pipelines.head_poses import COLUMNS, head_poses_of, write_head_poses

ORIGIN_NS = 5_000_000_000
PERSON = (2.0, 0.0, 0.0)


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


def test_every_second_image_of_a_recording_is_looked_at(monkeypatch):
    model = honest_model()
    monkeypatch.setattr(
        estimator, 'FaceMesh', lambda: TurnedMesh(model.mesh.points, {face_at(PERSON): (0, 0, 0)})
    )
    monkeypatch.setattr(estimator, 'load_head_pose_model', lambda: model)
    images = [np.zeros((480, 640, 3), np.uint8)] * 6
    recording = SimpleNamespace(
        head=SimpleNamespace(camera=CAMERA),
        num_frames=6,
        frame_rate=25.0,
        video_start_s=0.0,
        images=lambda: ((k, k / 25.0, image, None) for k, image in enumerate(images)),
    )
    tracks = [
        dataclasses.replace(frame(0, track(1, PERSON)), stamp_ns=ORIGIN_NS + k * 40_000_000)
        for k in range(6)
    ]
    found = head_poses_of(recording, tracks, ORIGIN_NS)
    assert [one.stamp_ns for one in found] == [one.stamp_ns for one in tracks[::2]]
    assert found[-1].facing_ids == (1,)


def test_a_recording_without_images_is_refused():
    recording = SimpleNamespace(head=SimpleNamespace(camera=None), num_frames=0)
    with pytest.raises(UserError, match='no images'):
        head_poses_of(recording, [], 0)
