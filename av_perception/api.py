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

    The tracker is that of Ban, Alameda-Pineda, Girin and Horaud (IEEE TPAMI 43(5), 2021).

    Parameters
    ----------
    recording
        A recording folder, or one that is open already.
    progress
        Called with the fraction in [0, 1] that is done.

    Returns
    -------
    TrackTable
        A row for each person and image (without images: block of sound), in the order of time:
        arrays `time_s` (N,) [s], `id` (N,), `position` (N, 3) [m] in the head's base frame,
        `speaking` (N,) and more.

    Raises
    ------
    UserError
        When a file of the recording, or the face detector's model, is missing or damaged. The
        message says what to do.
    """
    opened = recording if isinstance(recording, Recording) else Recording.open(Path(recording))
    return collect_tracks(OfflinePipeline(opened).run(progress), START_NS)


def localize(sound: str | Path, head: str | None = None, max_sources: int = 1) -> Localization:
    """Find the directions of the sources in a multichannel sound; they must not move.

    VESSL (Deleforge, Forbes and Horaud, International Journal of Neural Systems 25(1), 2015) on
    the candidates of a mixture over a grid of directions (Li et al. 2019).

    Parameters
    ----------
    sound
        A WAV or FLAC file, or a recording folder.
    head
        Name or file of the head profile; a recording folder knows its own.
    max_sources
        The largest number of sources to look for.

    Returns
    -------
    Localization
        `sources`, the one heard most first, and `frames`. Each has `azimuth` and `elevation`
        [rad] in the head's base frame: 0 straight ahead, positive to the left and up.

    Raises
    ------
    UserError
        When the file is missing or damaged, its channels are not those of the head, or no sound
        rises above the noise.
    """
    found, _ = localize_sound(*open_sound_and_array(Path(sound), head), max_sources)
    return found
