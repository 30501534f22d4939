# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Two people before a head, one of them talking, as messages that can be sent over and over."""

from __future__ import annotations

from itertools import islice

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from sensor_msgs.msg import CameraInfo, Image

from av_perception.interfaces import AudioChunk
from av_perception.recording import Recording
from av_perception.robot_head import HeadProfile
from av_perception.ros.conversions import audio_chunk_to_msg, header, image_to_msg

TALKER = 1  # of the scene `short`: who speaks from START_S to END_S
START_S = 0.5
END_S = 2.5
IMAGES = 6  # so many are shown in turn, forth and back: nobody jumps
CHUNK_S = 0.02


class PlantedScene:
    """What the sensors of a head give of two people who stay where they are.

    Attributes
    ----------
    places : dict
        Of each person: the head's center in the head's base frame, (3,) [m].
    """

    def __init__(self, recording: Recording, head: HeadProfile):
        """Take a part of the recording of `short`, for a head of the same geometry."""
        assert head.camera is not None and head.microphones is not None
        assert recording.truth is not None
        self.head = head
        self.camera = head.camera
        self.array = head.microphones
        first = round(START_S * recording.frame_rate)
        pairs = islice(recording.images(), first, first + IMAGES)
        self._images = [
            tuple(image_to_msg(image, 0, self.camera.frame) for image in (left, right))
            for _, _, left, right in pairs
            if right is not None
        ]
        self._chunk_size = round(CHUNK_S * recording.sample_rate)
        count = round((END_S - START_S) / CHUNK_S)
        start = round(START_S * recording.sample_rate)
        samples = recording.read_audio(start, count * self._chunk_size)
        self._chunks = self.array.pick_recorded(samples).reshape(count, self._chunk_size, -1)
        self.sample_rate = recording.sample_rate
        truth = recording.truth
        distance_s = np.abs(truth.time_s - START_S)
        is_now = distance_s == distance_s.min()
        self.places = dict(zip(truth.id[is_now].tolist(), truth.position[is_now]))

    def images(self, number: int, stamp_ns: int) -> tuple[Image, Image]:
        """Give the left and the right image of a number."""
        period = 2 * len(self._images) - 2
        place = number % period
        pair = self._images[min(place, period - place)]
        left, right = (
            Image(
                header=header(stamp_ns, self.camera.frame),
                height=image.height,
                width=image.width,
                encoding=image.encoding,
                step=image.step,
                data=image.data,
            )
            for image in pair
        )
        return left, right

    def chunk(self, number: int, stamp_ns: int) -> AudioChunkMsg:
        """Give the chunk of a number; the sound goes round."""
        samples = self._chunks[number % len(self._chunks)]
        first = number * self._chunk_size
        chunk = AudioChunk(stamp_ns, self.sample_rate, first, samples)
        return audio_chunk_to_msg(chunk, self.array.frame)

    def camera_infos(self, stamp_ns: int) -> tuple[CameraInfo, CameraInfo]:
        """Give the calibrations of the left and the right camera."""
        camera = self.camera
        fx, fy = map(float, camera.focal)
        cx, cy = map(float, camera.center)
        infos = []
        for shift in (0.0, -fx * camera.baseline):
            infos.append(
                CameraInfo(
                    header=header(stamp_ns, camera.frame),
                    height=camera.height,
                    width=camera.width,
                    distortion_model='plumb_bob',
                    d=[0.0] * 5,
                    k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
                    r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                    p=[fx, 0.0, cx, shift, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
                )
            )
        return infos[0], infos[1]
