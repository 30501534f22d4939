# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of looks: it shows where the head points, and can be written with nobody there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.evaluation.attention import LookHistory, score_looks
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.visualization.attention_picture import SIZE_PX, plot_attention


def history(head_deg, look_id):
    count = len(head_deg)
    places = 2 * direction_from_angles(np.radians([0.0, 80.0]), 0.0)
    speaking = np.zeros((count, 2), bool)
    speaking[count // 2 :, 1] = True
    points = np.where(look_id[:, None] >= 0, places[1], np.nan)
    return LookHistory(
        0.04 * (1 + np.arange(count)),
        direction_from_angles(np.radians(head_deg), 0.0),
        np.tile(places, (count, 1, 1)),
        speaking,
        look_id,
        points,
        np.tile([1, 2], (count, 1)),
    )


def picture(folder, story):
    path = folder / 'looks.png'
    plot_attention(story, [1, 2], 35.0, path, scores=score_looks([story], 35.0))
    return cv2.imread(str(path))


@pytest.mark.slow
def test_a_turn_of_the_head_shows(tmp_path):
    nobody = np.full(100, -1)
    still = picture(tmp_path, history(np.zeros(100), nobody))
    assert still.shape[1::-1] == SIZE_PX
    turned = np.where(np.arange(100) > 60, 80.0, 0.0)
    moved = picture(tmp_path, history(turned, np.where(turned > 0, 2, -1)))
    black = [(image[100:650].max(axis=2) < 40) for image in (still, moved)]
    assert not np.array_equal(*black)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    story = history(np.zeros(50), np.full(50, -1))
    with pytest.raises(UserError, match='cannot write'):
        plot_attention(story, [1, 2], 35.0, tmp_path / 'no' / 'looks.png')
