# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the verbs that take part in a graph share: who can reach it."""

from __future__ import annotations

import argparse


def add_network_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument --network."""
    parser.add_argument(
        '--network',
        action='store_true',
        help='open the graph to other hosts (rviz on a laptop), and find one that '
        'is open; without it nothing listens on the network',
    )
