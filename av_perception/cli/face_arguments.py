# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Arguments of benchmarks that draw faces of known widths: whose, and how wide."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from av_perception.errors import UserError


def add_people_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --people."""
    data = Path(os.environ.get('AV_PERCEPTION_DATA', ''))
    parser.add_argument(
        '--people',
        nargs='+',
        type=Path,
        default=[data / 'av_grid'],
        metavar='PATH',
        help='clips, photographs or folders of them (default: $AV_PERCEPTION_DATA/av_grid)',
    )


def add_sizes_argument(
    parser: argparse.ArgumentParser, default: Sequence[float], help_text: str
) -> None:
    """Declare --face-sizes."""
    parser.add_argument(
        '--face-sizes',
        nargs='+',
        type=float,
        default=list(default),
        metavar='PX',
        help=help_text,
    )


def check_sizes(face_sizes: Sequence[float], least_px: float, largest_px: float) -> None:
    """Raise UserError where a width of --face-sizes is out of bounds."""
    if not all(least_px <= size <= largest_px for size in face_sizes):
        raise UserError(f'--face-sizes must lie in {least_px:g}..{largest_px:g} pixels')
