# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From a sound file or a recording folder to the directions of its sources."""

from __future__ import annotations

from pathlib import Path

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.capture import AudioFile
from av_perception.audio.front_end import AudioFrontEnd, extract_features
from av_perception.audio.localization import (
    ANALYSIS,
    Localization,
    LocalizationConfig,
    analysis_of,
    localize,
    map_config,
)
from av_perception.audio.map_learning import head_map
from av_perception.audio.sound_problems import doubtful_fit, sound_problems
from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.robot_head import HeadProfile, MicrophoneArray, load_head

_CHECKED_S = 60.0  # of sound for the check of the channels


def open_sound_and_array(
    path: Path, head_name: str | None
) -> tuple[Recording | AudioFile, MicrophoneArray]:
    """Open a sound and the microphone array that made it.

    Parameters
    ----------
    path
        A sound file or a recording folder.
    head_name
        Name or file of the head profile; None for a recording folder, which names its own.

    Returns
    -------
    tuple
        The sound and the array.

    Raises
    ------
    UserError
        When they do not belong together.
    """
    if not path.exists():
        raise UserError(
            f'there is no recording {path}: give a WAV or FLAC file or a recording folder'
        )
    if not path.is_dir():
        if head_name is None:
            raise UserError('a sound file does not say where its microphones are: add --head NAME')
        array = _microphones(load_head(head_name))
        return AudioFile(str(path), array), array
    recording = Recording.open(path)
    if not recording.has_sound:
        raise UserError(f'{path} holds images alone: there is no sound in it')
    array = _microphones(load_head(head_name) if head_name else recording.head)
    array.require_recorded(recording.num_channels, path)
    return recording, array


def localize_sound(
    sound: Recording | AudioFile,
    array: MicrophoneArray,
    max_sources: int,
    map_file: Path | None = None,
) -> tuple[Localization, list[str]]:
    """Find the directions of the sources of a whole sound.

    Parameters
    ----------
    sound, array
        As `open_sound_and_array` gives them.
    max_sources
        At most so many.
    map_file
        Acoustic map; None takes the profile's, else one that is learnt from the geometry.

    Returns
    -------
    tuple
        What was found, and what is wrong with the sound, a line each.

    Raises
    ------
    UserError
        When there is nothing to hear, or the map does not fit the array.
    """
    checked = sound.read_audio(0, round(_CHECKED_S * sound.sample_rate))
    problems = sound_problems(checked, sound.sample_rate, array)
    acoustic_map = _acoustic_map(array, map_file)
    front_end = analysis_of(acoustic_map)
    stream = AudioFrontEnd(front_end, sound.num_channels, sound.sample_rate)
    features = extract_features(stream, sound.read_audio, sound.num_samples, sound.sample_rate)
    config = LocalizationConfig(max_sources=max_sources)
    try:
        found = localize(features, acoustic_map, config, array.base_from_array)
    except UserError as error:
        raise UserError('; '.join([str(error), *problems])) from error
    return found, problems + doubtful_fit(found)


def _acoustic_map(array: MicrophoneArray, path: Path | None) -> AcousticMap:
    chosen = path or array.acoustic_map
    if not chosen:
        return head_map(array, map_config(array), ANALYSIS)
    acoustic_map = AcousticMap.load(Path(chosen))
    acoustic_map.check(array, analysis_of(acoustic_map))
    return acoustic_map


def _microphones(head: HeadProfile) -> MicrophoneArray:
    if head.microphones is None:
        raise UserError(f"head '{head.name}' has no microphones: choose another --head")
    if not head.can_hear_directions:
        raise UserError(
            f"head '{head.name}' has one microphone, which hears no directions: choose another "
            '--head'
        )
    return head.microphones
