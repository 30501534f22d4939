# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Topics that are renamed: what can be is left as it is, the rest is one line."""

from __future__ import annotations

import pytest

from av_perception.errors import UserError
from av_perception.ros.bringup.remaps import checked_remaps


@pytest.mark.parametrize(
    'rules',
    [
        (),
        ('left/image_raw:=/camera/image_raw', 'audio:=/mic/audio'),
        ('left/image_raw:=right/image_raw', 'right/image_raw:=left/image_raw'),
        ('/tf:=tf', '/tf_static:=tf_static'),
        ('tracker:audio:=/mic/audio',),
    ],
    ids=['none', "drivers'", 'cameras the other way round', 'in the namespace', 'of one node'],
)
def test_rules_that_can_be_stay(rules):
    assert checked_remaps(rules) == list(rules)


@pytest.mark.parametrize('rule', ['audio', 'audio:=', ':=a', 'audio:=/a b', 'audio:=/9x', 'ä:=b'])
def test_what_renames_nothing_is_refused(rule):
    with pytest.raises(UserError, match='--remap needs FROM:=TO'):
        checked_remaps([rule])


@pytest.mark.parametrize('rule', ['audio:=left/image_raw', 'tracks:=/speaking_status'])
def test_two_topics_under_one_name_ended_a_node_with_words_of_rcl(rule):
    """Those were: invalid allocator."""
    with pytest.raises(UserError, match='two topics of the suite one name'):
        checked_remaps([rule])
