# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording as the messages of microphones, cameras and truth, sent when the caller says so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import TruthArray
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import CHUNK_S
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.ros import qos
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.conversions import audio_chunk_to_msg, image_to_msg, transform_to_msg
from av_perception.ros.image_publisher import ImageRoom
from av_perception.ros.truth_messages import truth_to_msg


class RecordedSensors:
    """Publishers of everything that the sensor nodes would publish of one recording.

    What is published has the stamps that the sensor nodes would give it. The chunks are those of
    the offline pipeline, so that both hear the same to the last sample.
    """

    def __init__(self, node, recording: Recording, selection: Selection):
        """Create the publishers.

        Parameters
        ----------
        node
            An rclpy node that publishes.
        recording
            What is played.
        selection
            Its microphones and camera are 'none' where no sound or no images are published.
        """
        self._recording = recording
        self._head = recording.head
        self.has_sound = selection.microphones != 'none' and recording.num_samples > 0
        self.has_images = selection.camera != 'none' and recording.num_frames > 0
        self.hears_directions = self.has_sound and recording.head.can_hear_directions
        self.duration_s = recording.duration_s
        self._audio = node.create_publisher(AudioChunkMsg, 'audio', qos.audio(CHUNK_S))
        room = ImageRoom.of(node)
        self._images = {
            side: room.publisher(node, Image, f'{side}/image_raw', qos.IMAGES_OUT)
            for side in (('left', 'right') if recording.has_right else ('left',))
        }
        self._truth = node.create_publisher(TruthArray, 'truth', qos.FEATURES)
        self._static = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)

    def publish_static_transforms(self, stamp_ns: int) -> None:
        """Say where the sensors are on the head."""
        base, array, camera = self._head.base_frame, self._head.microphones, self._head.camera
        places = []
        if self.has_sound and array is not None:
            places.append((array.base_from_array, array.frame))
        if self.has_images and camera is not None:
            places.append((camera.base_from_optical, camera.frame))
        transforms = [
            transform_to_msg(pose, base, frame, stamp_ns)
            for pose, frame in places
            if frame != base
        ]
        self._static.publish(TFMessage(transforms=transforms))

    def images(self, origin_ns: int) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """(stamp [ns], left, right) of every image; origin_ns: the stamp of second 0."""
        if not self.has_images:
            return
        for index, _, left, right in self._recording.images():
            yield origin_ns + image_stamp_ns(self._recording, index), left, right

    def chunks(self, origin_ns: int) -> Iterator[tuple[int, AudioChunk]]:
        """(when its last sample was captured [ns], chunk), to the last sample of the recording."""
        recording = self._recording
        size = max(1, round(CHUNK_S * recording.sample_rate))
        for first in range(0, recording.num_samples if self.has_sound else 0, size):
            samples = recording.read_audio(first, size)
            stamp_ns = origin_ns + sample_stamp_ns(recording, first)
            end_ns = origin_ns + sample_stamp_ns(recording, first + len(samples))
            yield end_ns, AudioChunk(stamp_ns, recording.sample_rate, first, samples)

    def truth(self, origin_ns: int) -> Iterator[tuple[int, TruthArray]]:
        """(stamp [ns], message) of every moment of the truth; none without a truth."""
        truth = self._recording.truth
        if truth is None:
            return
        for time_s in np.unique(truth.time_s):
            stamp_ns = origin_ns + round(1e9 * time_s)
            yield stamp_ns, truth_to_msg(truth, time_s, stamp_ns, self._head.base_frame)

    def silence(self, start_ns: int, end_ns: int, first: int) -> AudioChunk:
        """Make a chunk without any sound; first: the number of its first sample."""
        recording = self._recording
        size = round(1e-9 * (end_ns - start_ns) * recording.sample_rate)
        samples = np.zeros((size, recording.num_channels), np.float32)
        return AudioChunk(start_ns, recording.sample_rate, first, samples)

    def send_chunk(self, chunk: AudioChunk) -> None:
        """Publish sound, of the channels that are the head's microphones."""
        array = self._head.microphones
        if array is None:
            return
        picked = AudioChunk(
            chunk.stamp_ns,
            chunk.sample_rate,
            chunk.first_sample,
            array.pick_recorded(chunk.samples),
        )
        self._audio.publish(audio_chunk_to_msg(picked, array.frame))

    def send_images(self, stamp_ns: int, left: np.ndarray, right: np.ndarray | None) -> None:
        """Publish an image or a pair, (height, width, 3) uint8 BGR."""
        camera = self._head.camera
        for side, image in (('left', left), ('right', right)):
            if side in self._images and image is not None and camera is not None:
                self._images[side].publish(image_to_msg(image, stamp_ns, camera.frame))

    def send_blank(self, stamp_ns: int) -> bool:
        """Publish images without a face that no check takes for a covered lens.

        Returns
        -------
        bool
            Whether there are images at all.
        """
        camera = self._head.camera
        if self.has_images and camera is not None:
            image = np.zeros((camera.height, camera.width, 3), np.uint8)
            image[::2] = 128
            self.send_images(stamp_ns, image, image)
        return self.has_images

    def send_truth(self, message: TruthArray) -> None:
        """Publish where the people are."""
        self._truth.publish(message)
