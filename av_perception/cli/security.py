# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the policy of SROS2 for the suite: which topics and services each node may use, no others.

  av-perception security -o policy.xml                  nodes without a namespace
  av-perception security --namespace av -o policy.xml   those of nao.launch.py, say

The keys are made of it by `ros2 security` (docs/security.md), which a ROS distribution has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from av_perception.cli.namespace import add_namespace_argument
from av_perception.cli.output import check_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    add_namespace_argument(parser, 'namespace of all topics and nodes')
    parser.add_argument(
        '-o', '--output', type=Path, metavar='FILE', help='where to write it, else it is printed'
    )


def run(options: argparse.Namespace) -> int:
    """Write the policy."""
    from av_perception.ros.bringup.access import policy

    text = policy(options.namespace)
    if options.output is None:
        print(text, end='')
        return 0
    check_writable(options.output)
    options.output.write_text(text, encoding='utf-8')
    return 0
