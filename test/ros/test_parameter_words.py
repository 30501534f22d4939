# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Values of parameters on a command line come out as they went in."""

from __future__ import annotations

import pytest
import rclpy
from dds_domains import free_domain

from av_perception.ros.bringup.runner import _parameter_words


@pytest.mark.parametrize('text', ["it's a head", "''", "/tmp/réc's: {a} #1", '5', '', 'a "b" \\n'])
def test_an_apostrophe_in_the_path_of_a_head_ended_every_node(text):
    values = {'head': text, 'number': 3, 'is_so': True}
    context = rclpy.context.Context()
    rclpy.init(
        args=['--ros-args', *_parameter_words(values)], context=context, domain_id=free_domain()
    )
    try:
        node = rclpy.create_node('bench', context=context)
        found = {name: node.declare_parameter(name, type(v)()).value for name, v in values.items()}
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert found == values
