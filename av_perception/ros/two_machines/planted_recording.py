# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording of any length: two people who stay where they are, one of them talking."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from av_perception.recording import Recording
from av_perception.recording.recording import RecordingWriter
from av_perception.recording.recording_info import RecordingInfo
from av_perception.ros.faults.planted_scene import END_S, IMAGES, START_S

UNCOMPRESSED = [cv2.IMWRITE_PNG_COMPRESSION, 0]  # is read in a fraction of the time


def write_planted_recording(
    folder: Path, scene: Recording, duration_s: float
) -> dict[int, np.ndarray]:
    """Write a recording that shows a moment of a scene over and over.

    Parameters
    ----------
    folder
        Is made.
    scene
        Of the scene `short`.
    duration_s
        Of the recording [s].

    Returns
    -------
    dict
        Of each person: the head's center in the head's base frame, (3,) [m].
    """
    _write_sound(folder, scene, duration_s)
    first = round(START_S * scene.frame_rate)
    pairs = [(left, right) for _, _, left, right in islice(scene.images(), first, first + IMAGES)]
    for number, side in enumerate(('left', 'right')):
        images = [pair[number] for pair in pairs]
        _link_images(folder / side, images, round(duration_s * scene.frame_rate))
    truth = scene.truth
    assert truth is not None
    distance_s = np.abs(truth.time_s - START_S)
    is_now = distance_s == distance_s.min()
    return dict(zip(truth.id[is_now].tolist(), truth.position[is_now]))


def _write_sound(folder: Path, scene: Recording, duration_s: float) -> None:
    info = RecordingInfo(
        head=scene.head_name,
        sample_rate=scene.sample_rate,
        frame_rate=scene.frame_rate,
        audio_start=0.0,
        video_start=0.0,
    )
    start = round(START_S * scene.sample_rate)
    period = scene.read_audio(start, round((END_S - START_S) * scene.sample_rate))
    with RecordingWriter(folder, info) as writer:
        for _ in range(int(np.ceil(duration_s / (END_S - START_S)))):
            writer.write_audio(period)


def _link_images(folder: Path, images: list, count: int) -> None:
    """Show images forth and back, so that nobody jumps; each is on the disk once."""
    folder.mkdir()
    there_and_back = [*range(len(images)), *range(len(images) - 2, 0, -1)]
    for index in range(count):
        path = folder / f'{index:06d}.png'
        if index < len(images):
            cv2.imwrite(str(path), images[index], UNCOMPRESSED)
        else:
            shown = there_and_back[index % len(there_and_back)]
            os.symlink(f'{shown:06d}.png', path)
