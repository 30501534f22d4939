# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The argument --namespace, alike for every verb that has it."""

from __future__ import annotations

import argparse
import re

_NAMESPACE = re.compile(r'/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?/?', re.ASCII)


def add_namespace_argument(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare the argument; text: its help."""
    parser.add_argument('--namespace', default='', type=_namespace, help=text)


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text) or '__' in text:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no namespace of ROS: letters a to z, digits and single _, as robot_2 or '
            'lab/robot; no part begins with a digit'
        )
    return text
