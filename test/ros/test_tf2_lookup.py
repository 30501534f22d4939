# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The lookup by tf2_ros, of which a stand-in says what it would say."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped

from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.ros.transforms import Tf2Lookup


def test_tf2_takes_a_translation_of_1e30_m_and_the_node_goes_on(monkeypatch):
    far = TransformStamped()
    far.transform.translation.x = 1e30
    buffer = SimpleNamespace(lookup_transform=lambda *_: far, clear=lambda: None)
    listener = SimpleNamespace(tf_sub=None, tf_static_sub=None)
    tf2 = SimpleNamespace(
        TransformException=LookupError,
        Buffer=lambda: buffer,
        TransformListener=lambda *_, **__: listener,
    )
    monkeypatch.setitem(sys.modules, 'tf2_ros', tf2)
    lookup = Tf2Lookup(SimpleNamespace(adopt=lambda *_: None))
    with pytest.raises(TransformUnavailable, match='off the Earth') as caught:
        lookup.pose('odom', 'head', 10**12)
    assert not caught.value.may_come
