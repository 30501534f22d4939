# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot on the graph: publishes what its sensors give, and hears where to look.

It keeps the clock, like the player of lock-step: time goes on when the graph has answered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from av_perception_msgs.msg import VisualFeatures
from geometry_msgs.msg import PointStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from tf2_msgs.msg import TFMessage

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import Attention, AudioChunk
from av_perception.robot_head import HeadProfile
from av_perception.ros import qos
from av_perception.ros.bringup.lock_step_player import START_TIMEOUT_S
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    header,
    image_to_msg,
    ns_from_time,
    time_from_ns,
    transform_to_msg,
)
from av_perception.ros.image_publisher import ImageRoom
from av_perception.ros.observer import GraphObserver
from av_perception.simulation.rendering import StereoPair
from av_perception.simulation.turning_scene import STEP_S, JointReading, Moment

REFERENCE_FRAME = 'odom'
BODY_FRAME = 'base_link'
JOINTS = ('head_pan', 'head_tilt')
FIRST_NS = 1_000_000_000_000  # what the clock says before anything is played
STEP_NS = nanoseconds(STEP_S)
# An image is answered when the sound around it has been analyzed. The loop counts on the answer
# to the image of so long ago, neither on earlier nor on later ones, however fast the machine is.
ANSWER_LAG_NS = 2 * STEP_NS
HISS_LEVEL = 1e-3  # of full scale, of the microphones before the scene begins
PAUSE_NS = 2_000_000_000  # longer than any gap of the sound that is passed over
ANSWER_TIMEOUT_S = 60.0  # of wall time, for one image
POLL_S = 0.001
RESEND_AFTER_S = 3.0  # of wall time
RESEND_PERIOD_S = 0.5


class LivePlayer:
    """Sensors, joints and transforms of a head that turns, on the observer's node.

    Attributes
    ----------
    origin_ns
        The stamp of the scene's second 0.

    Parameters
    ----------
    observer
        Hears what the graph says, in its own thread.
    head
        Whose sensors.
    check
        Called while waiting; raises when the graph cannot answer any more.
    """

    def __init__(self, observer: GraphObserver, head: HeadProfile, check: Callable[[], None]):
        self._observer = observer
        self._head = head
        self._check = check
        node = observer.node
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self._audio = node.create_publisher(AudioChunkMsg, 'audio', qos.audio(STEP_S))
        room = ImageRoom.of(node)
        self._images = {
            side: room.publisher(node, Image, f'{side}/image_raw', qos.IMAGES_OUT)
            for side in ('left', 'right')
        }
        self._joints = node.create_publisher(JointState, 'joint_states', qos.MOTION)
        self._moving = node.create_publisher(TFMessage, '/tf', 100)
        self._static = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
        self._looks: dict[int, np.ndarray] = {}
        node.create_subscription(PointStamped, 'look_at', self._on_look_at, qos.FEATURES)
        node.create_subscription(VisualFeatures, 'visual_features', self._on_faces, qos.FEATURES)
        self._newest_faces_ns = 0
        self._num_samples = 0
        self.origin_ns = FIRST_NS

    def rehearse(self) -> None:
        """Play blank images and silence until the graph answers, then pause.

        What is published before every node has found the one before it is lost.
        """
        self._publish_static()
        stamp_ns = FIRST_NS
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._observer.attention:
            if time.monotonic() > deadline:
                raise UserError(f'the graph did not start within {START_TIMEOUT_S:.0f} s')
            self._check()
            stamp_ns += STEP_NS
            self._send_pose(JointReading(0.0, (0.0, 0.0), (0.0, 0.0)), stamp_ns)
            self._send_blank(stamp_ns)
            time.sleep(100 * POLL_S)
        self.origin_ns = stamp_ns + PAUSE_NS

    def play(self, moment: Moment) -> tuple[Attention, np.ndarray | None] | None:
        """Publish a moment, and wait for the answer to the one ANSWER_LAG_NS before it.

        Returns
        -------
        tuple or None
            Whom to look at, and the point of `look_at`, None for nobody; None: nothing can be
            answered yet.
        """
        stamp_ns = self.stamp_of(moment)
        for reading in moment.joints:
            self._send_pose(reading, self.origin_ns + nanoseconds(reading.time_s))
        if moment.images is not None:
            self._send_images(stamp_ns, moment.images.left, moment.images.right)
        self._send_sound(stamp_ns, moment.sound)
        self._clock.publish(Clock(clock=time_from_ns(stamp_ns)))
        if moment.images is not None:
            self._wait_for_faces(stamp_ns, moment.images)
        answered_ns = stamp_ns - ANSWER_LAG_NS
        if answered_ns <= self.origin_ns:
            return None
        self._wait(lambda: self._is_answered(answered_ns), answered_ns)
        return self._observer.attention[answered_ns], self._looks.get(answered_ns)

    def stamp_of(self, moment: Moment) -> int:
        """Give the stamp [ns] of a moment's image."""
        return self.origin_ns + nanoseconds(moment.time_s)

    def _wait_for_faces(self, stamp_ns: int, images: StereoPair) -> None:
        """Wait until an image pair was looked at: shared memory holds a few of them only.

        Some images, by their very bytes, cannot be read on the other side ("sequence size exceeds
        remaining buffer"), and what is reliable repeats them for ever. So a pair without answer
        is sent again with other noise in the lowest bit of its pixels.
        """
        random = np.random.default_rng(stamp_ns)
        resend_at = time.monotonic() + RESEND_AFTER_S

        def is_seen() -> bool:
            nonlocal resend_at
            if self._newest_faces_ns < stamp_ns and time.monotonic() > resend_at:
                resend_at = time.monotonic() + RESEND_PERIOD_S
                noise = random.integers(0, 2, images.left.shape, dtype=np.uint8)
                right = None if images.right is None else images.right ^ noise
                self._send_images(stamp_ns, images.left ^ noise, right)
            return self._newest_faces_ns >= stamp_ns

        self._wait(is_seen, stamp_ns)

    def _wait(self, condition: Callable[[], bool], stamp_ns: int) -> None:
        """Wait for something that the graph says of an image."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                second = 1e-9 * (stamp_ns - self.origin_ns)
                raise UserError(
                    f'no answer within {ANSWER_TIMEOUT_S:.0f} s to the image at {second:.2f} s'
                )
            self._check()
            time.sleep(POLL_S)

    def _is_answered(self, stamp_ns: int) -> bool:
        observer = self._observer
        attention = observer.attention.get(stamp_ns)
        # Each topic comes by a way of its own: what attention was made of may come after it.
        if attention is None or stamp_ns not in observer.tracks:
            return False
        if stamp_ns not in observer.speaking:
            return False
        return attention.target is None or stamp_ns in self._looks

    def _on_faces(self, message: VisualFeatures) -> None:
        self._newest_faces_ns = ns_from_time(message.header.stamp)

    def _on_look_at(self, message: PointStamped) -> None:
        point = message.point
        self._looks[ns_from_time(message.header.stamp)] = np.array([point.x, point.y, point.z])

    # ---- sensors

    def _publish_static(self) -> None:
        base, array, camera = self._head.base_frame, self._head.microphones, self._head.camera
        transforms = []
        if array is not None:
            transforms.append(transform_to_msg(array.base_from_array, base, array.frame, FIRST_NS))
        if camera is not None:
            pose = camera.base_from_optical
            transforms.append(transform_to_msg(pose, base, camera.frame, FIRST_NS))
        self._static.publish(TFMessage(transforms=transforms))

    def _send_pose(self, reading: JointReading, stamp_ns: int) -> None:
        """Say where the head is: the robot's body does not move, its neck does."""
        self._moving.publish(
            TFMessage(
                transforms=[
                    transform_to_msg(RigidTransform(), REFERENCE_FRAME, BODY_FRAME, stamp_ns),
                    transform_to_msg(
                        reading.base_from_head, BODY_FRAME, self._head.base_frame, stamp_ns
                    ),
                ]
            )
        )
        self._joints.publish(
            JointState(
                header=header(stamp_ns, ''),
                name=list(JOINTS),
                position=list(reading.angles),
                velocity=list(reading.rates),
                effort=[math.nan, math.nan],
            )
        )

    def _send_blank(self, stamp_ns: int) -> None:
        """Send images without a face that no check takes for a covered lens, and a faint hiss.

        No microphone gives zeros; after zeros the hearing takes the noise of the room for sound.
        """
        camera = self._head.camera
        if camera is not None:
            image = np.zeros((camera.height, camera.width, 3), np.uint8)
            image[::2] = 128
            self._send_images(stamp_ns, image, image)
        array = self._head.microphones
        if array is not None:
            count = round(STEP_S * array.sample_rate)
            hiss = np.random.default_rng(stamp_ns).normal(
                0.0, HISS_LEVEL, (count, len(array.coordinates))
            )
            self._send_sound(stamp_ns, hiss.astype(np.float32))
        self._clock.publish(Clock(clock=time_from_ns(stamp_ns)))

    def _send_images(self, stamp_ns: int, left: np.ndarray, right: np.ndarray | None) -> None:
        camera = self._head.camera
        for side, image in (('left', left), ('right', right)):
            if image is not None and camera is not None:
                self._images[side].publish(image_to_msg(image, stamp_ns, camera.frame))

    def _send_sound(self, end_ns: int, samples: np.ndarray) -> None:
        array = self._head.microphones
        if array is None:
            return
        chunk = AudioChunk(end_ns - STEP_NS, array.sample_rate, self._num_samples, samples)
        self._num_samples += len(samples)
        self._audio.publish(audio_chunk_to_msg(chunk, array.frame))
