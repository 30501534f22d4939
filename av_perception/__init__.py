# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is around the robot, where they are and who is speaking.

`track`, `localize`, `Recording` and `OfflinePipeline` of `av_perception.api` can be imported from
here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av_perception.api import OfflinePipeline, Recording, TrackTable, localize, track

__version__ = '0.1.0'
__all__ = ['OfflinePipeline', 'Recording', 'TrackTable', 'localize', 'track']


def __getattr__(name: str) -> Any:
    """Import what is asked for: a node or `--help` needs none of it, and it takes a second."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('av_perception.api'), name)
