# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of head poses: faces are drawn where they should be, planted errors are found."""

import cv2
import numpy as np
import pytest

from av_perception.benchmarks import head_pose as module
from av_perception.benchmarks.head_pose import (
    Scores,
    TalkerData,
    compete,
    gap_mask,
    pnp_angles,
)
from av_perception.benchmarks.head_pose_plot import plot_turning_head
from av_perception.benchmarks.head_pose_views import (
    Talker,
    still_angles,
    turning_angles,
)
from av_perception.benchmarks.turned_faces import DEPTH, draw_turned, textured_face
from av_perception.cli.main import main
from av_perception.head_pose.learning import TurnedViews
from av_perception.head_pose.model import load_head_pose_model
from av_perception.head_pose.rotations import rotation_from_angles

MESH = load_head_pose_model().mesh
FLAT = 0.8  # of the true yaw that the planted network measures


def as_points(angles, shape=MESH.points, width=40.0):
    """The points of a face that is turned, (P, 3) [px]."""
    turned = shape @ rotation_from_angles(np.asarray(angles, float)).T * width
    return np.column_stack([turned[:, 1], -turned[:, 2], -turned[:, 0]]) + [150.0, 150.0, 0.0]


def painted_face(spot):
    """A gray photograph with a frontal face, red at one of its points."""
    points = as_points((0, 0, 0)) * [1, 1, 1 / DEPTH]
    photograph = np.full((300, 300, 3), 90, np.uint8)
    cv2.circle(
        photograph, tuple(np.round(points[spot, :2]).astype(int).tolist()), 4, (0, 0, 255), -1
    )
    return textured_face(photograph, points, np.eye(3)), points


def place_of_red(image):
    red = image[..., 2].astype(int) - image[..., 0]
    rows, columns = np.nonzero(red > 60)
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize('angles', [(0, 0, 0), (0.4, 0, 0), (-0.3, 0.2, 0.1), (0, -0.3, -0.3)])
def test_a_point_of_a_turned_face_is_drawn_where_it_turns_to(angles):
    nose = 4
    face, points = painted_face(nose)
    width = float(np.ptp(points[:, 0]))
    image, box = draw_turned(face, np.array(angles, float), width, (300, 300))
    turned = rotation_from_angles(np.array(angles, float)) @ face.points[nose] * width
    expected = np.array([150 + turned[1], 150 - turned[2]])
    np.testing.assert_allclose(place_of_red(image), expected, atol=1.5)
    assert box[0] < expected[0] < box[0] + box[2] and box[1] < expected[1] < box[1] + box[3]


def test_positive_yaw_turns_the_face_to_the_right_in_the_image():
    face, points = painted_face(4)
    width = float(np.ptp(points[:, 0]))
    columns = [
        place_of_red(draw_turned(face, np.array([yaw, 0, 0]), width, (300, 300))[0])[0]
        for yaw in (-0.3, 0.0, 0.3)
    ]
    assert columns[0] < columns[1] - 3 and columns[2] > columns[1] + 3


def test_what_is_turned_away_is_hidden():
    ear = 454  # at the person's left
    face, points = painted_face(ear)
    width = float(np.ptp(points[:, 0]))
    image, _ = draw_turned(face, np.array([1.0, 0, 0]), width, (300, 300))
    red = image[..., 2].astype(int) - image[..., 0]
    assert (red > 60).sum() == 0


def test_turning_heads_rest_and_turn_without_jumps():
    angles = np.degrees(turning_angles(500, np.random.default_rng(0)))
    assert angles.shape == (500, 3)
    steps = np.abs(np.diff(angles[:, 0]))
    assert steps.max() < 15 and (steps == 0).mean() > 0.3
    assert np.ptp(angles[:, 0]) > 40


def test_pnp_of_a_turned_mean_face():
    for angles in ((0, 0, 0), (0.4, 0.1, 0), (-0.2, -0.3, 0.2)):
        found = pnp_angles(MESH, as_points(angles, width=30.0))
        np.testing.assert_allclose(found, angles, atol=np.radians(6.0))  # it is not far away


def test_gaps_are_as_long_as_they_say_and_begin_after_something_was_seen():
    for gap_s in (0.2, 0.5, 1.0):
        hidden = gap_mask(250, gap_s)
        assert not hidden[:20].any()
        starts = np.flatnonzero(np.diff(hidden.astype(int)) == 1)
        ends = np.flatnonzero(np.diff(hidden.astype(int)) == -1)
        assert (ends - starts[: len(ends)] == round(25 * gap_s)).all()


def planted(seed, count=60):
    """A talker whose measured yaw is FLAT of the true one, with a little noise."""
    random = np.random.default_rng(seed)

    def views(angles):
        measured = angles * [FLAT, 1, 1] + 0.01 * random.standard_normal(angles.shape)
        return TurnedViews(angles, np.array([as_points(one) for one in measured]))

    frontal = np.array(
        [as_points((0, 0, 0)) + 0.2 * random.standard_normal((468, 3)) for _ in range(6)]
    )
    return TalkerData(
        Talker(f'talker {seed}', frontal, None),
        views(still_angles(2 * count, random)),
        views(turning_angles(count, random)),
        {60: views(still_angles(12, random))},
        views(turning_angles(count, random)),
    )


@pytest.mark.slow
def test_a_planted_bias_of_the_mesh_is_learned_from_others(monkeypatch, tmp_path):
    monkeypatch.setattr(module, 'GAPS_S', (0.2,))
    everybody = [planted(seed) for seed in range(3)]
    scores = compete(everybody, [0])
    assert len(scores) == 7 and 'PLDS filter on the shape' in scores
    mesh, ours = (
        scores[name].mean_deg('still')[0] for name in ('mesh, each image alone', 'PLDS filter')
    )
    assert mesh > 3.0 and ours < 0.5 * mesh
    turning = {name: score.mean_deg('turning')[0] for name, score in scores.items()}
    assert turning['PLDS filter'] < turning['Kalman filter']
    assert turning['PLDS smoother'] < 1.2 * turning['PLDS filter']
    outliers = {
        name: scores[name].mean_deg('outliers')[0] for name in ('Kalman filter', 'PLDS filter')
    }
    assert outliers['PLDS filter'] < outliers['Kalman filter']
    assert min(scores['PLDS filter'].covered()) > 0.85
    plot_turning_head(everybody, 0, tmp_path / 'turning.png')
    assert cv2.imread(str(tmp_path / 'turning.png')).std() > 10


def test_scores_are_means_of_absolute_errors():
    scores = Scores({'still': [np.radians([[1.0, -2, 3]]), np.radians([[3.0, 2, np.nan]])]}, [])
    np.testing.assert_allclose(scores.mean_deg('still'), [2, 2, 3])
    assert np.isnan(scores.mean_deg('nothing')).all()
    inside = Scores({}, [np.array([[1.0, 0, 1], [1, 1, 1]]), np.full((1, 3), np.nan)])
    np.testing.assert_allclose(inside.covered(), [1, 0.5, 1])


def test_without_clips_there_is_a_word_what_to_do(capsys, tmp_path):
    assert main(['benchmark', 'head-pose', '--clips', str(tmp_path / 'none')]) != 0
    assert '--clips' in capsys.readouterr().err
