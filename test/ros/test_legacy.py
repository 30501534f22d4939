# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A node that is made again in its process goes on where it was."""

from __future__ import annotations

import pytest
from rclpy.parameter import Parameter as RosParameter

from av_perception.nodes.face_itd_fusion import FaceItdFusionNode
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.nodes.tracker import TrackerNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.ros.legacy import Legacy
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter

STEPS = {
    'unconfigured': (),
    'inactive': ('trigger_configure',),
    'active': ('trigger_configure', 'trigger_activate'),
    'inactive again': ('trigger_configure', 'trigger_activate', 'trigger_deactivate'),
}


class Counting(PerceptionNode):
    """Learns one thing: how often a node of its line was configured."""

    NAME = 'counting'
    PARAMETERS = (
        Parameter('volume', 1, 'Changes at any time.', 0, 10, live=True),
        Parameter('gain', 0.5, 'Changes between.', 0.0, 1.0),
    )

    def configure(self):
        self.count = (self.take_inherited() or 0) + 1

    def core(self):
        return self.count


@pytest.fixture
def make(ros_context):
    """Makes nodes, and takes them down."""
    nodes = []

    def made(kind, **values):
        overrides = [RosParameter(name, value=value) for name, value in values.items()]
        nodes.append(kind(context=ros_context, parameter_overrides=overrides))
        return nodes[-1]

    yield made
    for node in nodes:
        node.destroy_node()


def label(node):
    return node._state_machine.current_state[1]


@pytest.mark.parametrize('steps', STEPS.values(), ids=STEPS)
def test_state_parameters_and_what_was_learned_are_passed_on(make, steps):
    """A manager's `deactivate`, or a threshold that was set, does not end with a participant."""
    first = make(Counting)
    first.set_parameters([RosParameter('gain', value=0.25)])
    for step in steps:
        getattr(first, step)()
    first.set_parameters([RosParameter('volume', value=7)])
    second = make(Counting)
    assert Legacy.of(first).pass_to(second)
    assert label(second) == label(first)
    assert (second.value('volume'), second.value('gain')) == (7, 0.25)
    assert second.count == 2 if steps else not hasattr(second, 'count')


def test_what_was_learned_is_given_once(make):
    """A user who cleans up and configures wants a new start."""
    first = make(Counting)
    first.start()
    second = make(Counting)
    Legacy.of(first).pass_to(second)
    for step in ('trigger_deactivate', 'trigger_cleanup', 'trigger_configure'):
        getattr(second, step)()
    assert second.count == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind', [TrackerNode, SpeakingStatusNode, VisualFeaturesNode, FaceItdFusionNode]
)
def test_nodes_that_know_people_or_hold_networks_pass_on_the_same_objects(make, kind):
    first = make(kind, head='simulated')
    assert first.start(), first.failure
    known = first.core()
    legacy = Legacy.of(first)
    first._take_down()
    second = make(kind, head='simulated')
    assert legacy.pass_to(second), second.failure
    parts = known if isinstance(known, tuple) else (known,)
    others = second.core() if isinstance(known, tuple) else (second.core(),)
    assert all(one is other for one, other in zip(parts, others, strict=True))
    second._take_down()
