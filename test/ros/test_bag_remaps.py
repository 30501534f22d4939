# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags of others: topics by other names are read when told, and named when not."""

import pytest
from bag_scenes import TYPES, short_messages, write_bag

from av_perception.errors import UserError
from av_perception.ros.bags.bag_file import graph_inputs
from av_perception.ros.bags.bag_offline import BagRecording

pytest.importorskip('rosbags')
NAMES = {'left/image_raw': 'front/color', 'right/image_raw': 'front/gray', 'audio': 'mic/audio'}
RULES = [f'/{other}:={own}' for own, other in NAMES.items()]


def outlines(messages):
    """What bytes do not tell."""
    return [(time_ns, name, kind, len(data)) for time_ns, name, kind, data in messages]


@pytest.fixture(scope='module')
def messages():
    return short_messages(images=True, seconds=0.3)


@pytest.fixture(scope='module')
def foreign(messages, tmp_path_factory):
    """Sound in a namespace, images by names of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for own, other in NAMES.items():
            patch.setitem(TYPES, other, TYPES[own])
        renamed = [(stamp, NAMES[topic], message) for stamp, topic, message in messages]
        return write_bag(tmp_path_factory.mktemp('bags') / 'foreign', renamed)


def test_images_by_other_names_were_left_out_without_a_word(foreign):
    recording = BagRecording(foreign, 'simulated')
    assert recording.num_frames == 0
    assert 'images on /front/color, /front/gray are not read' in recording.problem
    assert '--remap /front/color:=left/image_raw' in recording.problem


def test_a_bag_of_other_names_is_that_of_ours(foreign, messages, tmp_path):
    own = write_bag(tmp_path / 'own', messages)
    as_ours = sorted(BagRecording(foreign, 'simulated', RULES).messages())
    expected = sorted(BagRecording(own, 'simulated').messages())
    assert len(expected) > 20
    # Times, names, types, lengths: the padding between the fields of a message is arbitrary.
    assert outlines(as_ours) == outlines(expected)
    assert BagRecording(foreign, 'simulated', RULES).problem == ''


@pytest.mark.parametrize(
    'rule, words',
    [
        ('/absent:=audio', 'has no topic /absent, but /front/color, /front/gray, /mic/audio'),
        ('/front/color=left/image_raw', 'needs FROM:=TO'),
        ('/front/color:=camera', 'camera is none of audio'),
        ('/front/color:=audio', 'it is sensor_msgs/msg/Image, audio must be'),
    ],
)
def test_a_rule_that_does_not_fit_is_told(foreign, rule, words):
    with pytest.raises(UserError) as caught:
        graph_inputs(foreign, [rule])
    assert words in str(caught.value)
