# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The suite in a few lines of Python, without ROS: a recording in, arrays out.

For example::

    from av_perception import localize, track

    people = track('talkers')                       # a recording folder
    print(people.time_s, people.id, people.position, people.speaking)
    for source in localize('four.wav', head='respeaker', max_sources=2).sources:
        print(source.azimuth, source.confidence)    # radians

`people.columns()` is what `pandas.DataFrame` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from av_perception.audio.localization import Localization
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.pipelines.localization import localize_sound, open_sound_and_array
from av_perception.recording import Recording, TrackTable
from av_perception.recording.collect import collect_tracks

__all__ = ['OfflinePipeline', 'Recording', 'TrackTable', 'localize', 'track']


def track(
    recording: Recording | str | Path, progress: Callable[[float], None] = lambda fraction: None
) -> TrackTable:
    """Track everybody in a recording, as `av-perception track` does.

    Parameters
    ----------
    recording
        A recording folder, or one that is open already.
    progress
        Called with the fraction that is done.

    Returns
    -------
    TrackTable
        A row for each person and image: time [s], id, position [m] in the head's base frame, who
        speaks and with what probability.

    Raises
    ------
    UserError
        For a recording that cannot be read; the message says what to do.
    """
    opened = recording if isinstance(recording, Recording) else Recording.open(Path(recording))
    return collect_tracks(OfflinePipeline(opened).run(progress), START_NS)


def localize(sound: str | Path, head: str | None = None, max_sources: int = 1) -> Localization:
    """Find the directions of the sources in a multichannel sound.

    Parameters
    ----------
    sound
        A WAV or FLAC file, or a recording folder.
    head
        Name or file of the head profile; a recording folder knows its own.
    max_sources
        At most so many.

    Returns
    -------
    Localization
        Sources and the direction of every frame [rad], in the head's base frame.

    Raises
    ------
    UserError
        When sound and head do not belong together, or nothing is to be heard.
    """
    found, _ = localize_sound(*open_sound_and_array(Path(sound), head), max_sources)
    return found
