# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the voices are that benchmarks play."""

from __future__ import annotations

import os
from pathlib import Path

from av_perception.errors import UserError


def data_folder() -> Path:
    """Find the folder of the development data. Raises UserError where it is not named."""
    folder = os.environ.get('AV_PERCEPTION_DATA')
    if folder is None or not Path(folder).is_dir():
        raise UserError(
            'this benchmark needs voices: set AV_PERCEPTION_DATA to the folder of the '
            'development data'
        )
    return Path(folder)
