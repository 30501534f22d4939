# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The one exception that is meant for the user's eyes, and how any other is told in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

LONGEST = 300  # characters of a line that quotes what came from outside


class UserError(Exception):
    """Something the user can mend: a file, a device, a parameter, a command line.

    The message is one line and says what is wrong and what to do. Commands and nodes print it
    without a traceback and exit with status 2.
    """


def one_line(text: str) -> str:
    """Make one line, of bounded length and without control characters, of what strangers wrote."""
    line = ''.join(c if c.isprintable() else ' ' for c in text[: 2 * LONGEST])
    line = ' '.join(line.split())
    return line if len(line) <= LONGEST else f'{line[: LONGEST - 3]}...'


def describe(error: BaseException) -> str:
    """Describe an exception in one line.

    Parameters
    ----------
    error
        A UserError or any other exception, raised or not.

    Returns
    -------
    str
        The message of a UserError; of any other exception its kind, message and place.
    """
    text = ' '.join(str(error).split())
    if isinstance(error, UserError):
        return text
    line = f'ended by itself: {type(error).__name__}'
    if text:
        line += f': {text}'
    steps = traceback.extract_tb(error.__traceback__)
    if not steps:
        return line
    place = f'{Path(steps[-1].filename).name}, line {steps[-1].lineno}'
    return f'{line} ({place}; log level debug shows the whole way)'
