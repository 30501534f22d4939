# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters may be set before a node is configured, as a life-cycle manager's user does."""

import importlib
import pkgutil

import pytest
from rclpy.parameter import Parameter

from av_perception import nodes
from av_perception.ros.node import PerceptionNode

NAMES = [module.name for module in pkgutil.iter_modules(nodes.__path__)]


def node_type(name):
    """The node that a module is about."""
    module = importlib.import_module(f'av_perception.nodes.{name}')
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, PerceptionNode)
        and thing.__module__ == module.__name__
    ]
    return found[-1]


@pytest.mark.parametrize('name', NAMES)
def test_a_parameter_set_before_configure_ended_voices(name, ros_context):
    kind = node_type(name)
    node = kind(context=ros_context)
    try:
        for parameter in kind.PARAMETERS:
            value = Parameter(parameter.name, value=parameter.default)
            result = node.set_parameters([value])[0]
            assert result.successful, (parameter.name, result.reason)
    finally:
        node.destroy_node()


def test_a_frame_that_begins_with_a_slash_was_looked_for_for_ever(ros_context):
    node = node_type('tracker')(context=ros_context)
    try:
        result = node.set_parameters([Parameter('reference_frame', value='/odom')])[0]
        assert not result.successful and "write 'odom'" in result.reason
        assert node.set_parameters([Parameter('reference_frame', value='odom')])[0].successful
    finally:
        node.destroy_node()
