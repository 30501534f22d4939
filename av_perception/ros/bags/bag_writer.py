# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Writes a recording folder as a bag: what the drivers of its sensors would have published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import START_NS
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.ros.bags.bag_file import TypeStore, rosbags
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.conversions.headers import header

CHUNK_S = 0.016
JPEG_QUALITY = 92
AUDIO_TYPE = 'av_perception_msgs/msg/AudioChunk'
IMAGE_TYPE = 'sensor_msgs/msg/CompressedImage'

Stamped = tuple[int, str, str, Any]  # stamp [ns], topic, type, message


def write_bag(
    recording: Recording, folder: Path, progress: Callable[[float], None] = lambda fraction: None
) -> int:
    """Write sound and images, as JPEG, to an MCAP bag.

    Parameters
    ----------
    recording, folder
        What is written, and the bag's folder, new.
    progress
        Called with the fraction that is done.

    Returns
    -------
    int
        How many messages it holds.

    Raises
    ------
    UserError
        When the bag cannot be written, or rosbags is not installed.
    """
    rosbag2 = rosbags()[0]
    store = check_bag(folder)
    connections: dict[str, Any] = {}
    last_ns = START_NS + round(1e9 * recording.duration_s)
    count = 0
    try:
        storage = rosbag2.StoragePlugin.MCAP
        with rosbag2.Writer(folder, version=9, storage_plugin=storage) as writer:
            for stamp_ns, topic, kind, message in _in_order(recording):
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=store.types)
                writer.write(connections[topic], stamp_ns, serialize_message(message))
                count += 1
                progress(min(1.0, (stamp_ns - START_NS) / (last_ns - START_NS)))
    except OSError as error:
        raise UserError(f'cannot write the bag {folder}: {error.strerror or error}') from error
    return count


def check_bag(folder: Path) -> TypeStore:
    """Give the types of what is written, before the work. Raises UserError where it cannot be."""
    if folder.exists():
        raise UserError(f'{folder} exists already: choose another name for the bag')
    store = TypeStore()
    for kind in (AUDIO_TYPE, IMAGE_TYPE):
        store.require(kind)
    return store


def _in_order(recording: Recording) -> Iterator[Stamped]:
    """Yield all messages by the time at which a driver could have published them."""
    sound = _chunks(recording)
    waiting = next(sound, None)
    for image in _images(recording):
        while waiting is not None and waiting[0] <= image[0]:
            yield waiting
            waiting = next(sound, None)
        yield image
    if waiting is not None:
        yield waiting
    yield from sound


def _chunks(recording: Recording) -> Iterator[Stamped]:
    head = recording.head
    if head.microphones is None or not recording.num_samples:
        return
    size = round(CHUNK_S * recording.sample_rate)
    for first in range(0, recording.num_samples, size):
        samples = recording.read_audio(first, min(size, recording.num_samples - first))
        stamp_ns = START_NS + sample_stamp_ns(recording, first)
        chunk = AudioChunk(stamp_ns, recording.sample_rate, first, samples)
        # It leaves the driver when its last sample is there.
        sent_ns = stamp_ns + round(1e9 * len(samples) / recording.sample_rate)
        message = audio_chunk_to_msg(chunk, head.microphones.frame)
        yield sent_ns, '/audio', AUDIO_TYPE, message


def _images(recording: Recording) -> Iterator[Stamped]:
    camera = recording.head.camera
    if camera is None or not recording.num_frames:
        return
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    for index, _, left, right in recording.images():
        stamp_ns = START_NS + image_stamp_ns(recording, index)
        for side, pixels in (('left', left), ('right', right)):
            if pixels is None:
                continue
            message = CompressedImage(header=header(stamp_ns, camera.frame), format='jpeg')
            message.data = cv2.imencode('.jpg', pixels, quality)[1].tobytes()
            yield stamp_ns, f'/{side}/image_raw/compressed', IMAGE_TYPE, message
