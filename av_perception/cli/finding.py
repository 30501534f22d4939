# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the checks of `doctor` report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    #: its name
    what: str
    #: True, False (broken) or None (absent and not needed everywhere, or worth a look)
    well: bool | None
    #: what was found; where it is not well, what to do
    text: str
