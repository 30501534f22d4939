# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Orientations and frames that a profile cannot mean are refused, with what was likely meant."""

import pytest
import yaml

from av_perception.errors import UserError
from av_perception.paths import share_directory
from av_perception.robot_head import load_head

SIMULATED = share_directory() / 'config' / 'heads' / 'simulated.yaml'


def changed(folder, part, **changes):
    """Write the simulated head with other numbers; give its path."""
    profile = yaml.safe_load(SIMULATED.read_text())
    profile[part].update(changes)
    (folder / 'head.yaml').write_text(yaml.safe_dump(profile))
    return str(folder / 'head.yaml')


@pytest.mark.parametrize('part', ['microphones', 'camera'])
@pytest.mark.parametrize(
    'angles, words',
    [
        ([0.0, 0.0, 1.57], 'radians instead of degrees? Then write [0, 0, 90]'),
        ([3.14159, 0.0, -0.7854], 'Then write [180, 0, -45]'),
        ([0.0, 0.0, 9000.0], 'more than 360 degrees'),
    ],
)
def test_radians_in_place_of_degrees_are_refused(tmp_path, part, angles, words):
    with pytest.raises(UserError) as caught:
        load_head(changed(tmp_path, part, orientation_rpy_deg=angles))
    assert words in str(caught.value)


@pytest.mark.parametrize('angles', [[1.2, -0.4, 0.7], [1.57, -0.31, 0.9], [180.0, 0.0, 0.0]])
def test_a_few_degrees_and_a_camera_upside_down_are_accepted(tmp_path, angles):
    head = load_head(changed(tmp_path, 'camera', orientation_rpy_deg=angles))
    assert list(head.camera.orientation_rpy_deg) == angles


@pytest.mark.parametrize('angles', [[-90.0, 0.0, -90.0], [-110.0, 0.0, -90.0]])
def test_the_orientation_of_an_optical_frame_is_refused_for_a_camera_body(tmp_path, angles):
    with pytest.raises(UserError, match='optical frame'):
        load_head(changed(tmp_path, 'camera', orientation_rpy_deg=angles))


@pytest.mark.parametrize(
    'part, frame, words',
    [
        ('camera', '/left_camera', "write 'left_camera'"),
        ('camera', '', 'the name of a TF frame'),
        ('microphones', 'my array', 'has no blanks'),
        ('camera', 'microphone_array', 'microphones.frame and camera.frame are both'),
        ('camera', 'base_link', 'base_frame and camera.frame are both'),
    ],
)
def test_names_that_tf_does_not_take_are_refused(tmp_path, part, frame, words):
    with pytest.raises(UserError) as caught:
        load_head(changed(tmp_path, part, frame=frame))
    assert words in str(caught.value)


def test_an_array_that_is_the_base_may_share_its_frame(tmp_path):
    path = changed(tmp_path, 'microphones', frame='base_link')
    assert load_head(path).microphones.frame == 'base_link'
    with pytest.raises(UserError, match='lie or are turned apart'):
        load_head(changed(tmp_path, 'microphones', frame='base_link', position=[0.0, 0.0, 0.3]))


@pytest.mark.parametrize('width, height', [(1280, 960), (320, 240), (320, 480)])
def test_a_principal_point_of_another_image_size_is_refused(tmp_path, width, height):
    with pytest.raises(UserError, match='another size'):
        load_head(changed(tmp_path, 'camera', width=width, height=height))


@pytest.mark.parametrize('rate, words', [(0.04, 'Then write 25'), (25000.0, '0.5..1000')])
def test_a_period_in_place_of_a_rate_of_images_is_refused(tmp_path, rate, words):
    with pytest.raises(UserError) as caught:
        load_head(changed(tmp_path, 'camera', frame_rate=rate))
    assert words in str(caught.value)
