# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Lookups of transforms, of which stand-ins say what tf2_ros or a robot would say."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.robot_head import load_head
from av_perception.ros import transforms
from av_perception.ros.transforms import HeadPoses, Tf2Lookup

NOW_NS = 10**12


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


@pytest.mark.parametrize(
    ('newest_ns', 'now_ns', 'is_told'),
    [
        (NOW_NS + 10**9, NOW_NS, True),
        (NOW_NS + 10**8, NOW_NS, False),
        (NOW_NS - 10**8, NOW_NS, False),
        (None, NOW_NS, False),
        (NOW_NS, 0, False),
    ],
    ids=['ahead', 'a little ahead', 'behind', 'static', 'before simulated time begins'],
)
def test_transforms_of_the_future_were_told_by_chance_alone(
    newest_ns, now_ns, is_told, monkeypatch
):
    """Only where one happened to be missing, at the change of the clock."""
    told = []
    node = SimpleNamespace(
        now_ns=lambda: now_ns,
        diagnostics=SimpleNamespace(count=lambda *what: told.append(what)),
    )
    lookup = SimpleNamespace(pose=lambda *_: RigidTransform(), newest_ns=lambda *_: newest_ns)
    monkeypatch.setattr(transforms, 'make_lookup', lambda _: lookup)
    HeadPoses(node, load_head('simulated'), 'odom').at(NOW_NS)
    assert bool(told) == is_told
    if is_told:
        ((event, reason),) = told
        assert event == 'transforms of the future'
        assert "'odom' are stamped 1.0 s ahead: set the clocks" in reason
