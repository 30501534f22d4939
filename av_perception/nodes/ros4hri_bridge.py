# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `ros4hri_bridge`: `tracks` and `speaking_status` as REP-155 wants people, below /humans and on /tf; behind switches also as
`detections` (vision_msgs) and `people` (people_msgs)."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import SpeakingStatusArray, TrackArray
from sensor_msgs.msg import Image

from av_perception.errors import UserError
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.hri.people import Humans
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster, make_stamp_pairs
from av_perception.ros.conversions import speaking_frame_from_msg, track_frame_from_msg
from av_perception.ros.humans import (
    TopicsOfIds,
    detections_message,
    human_transforms,
    optional_messages,
    people_message,
)
from av_perception.ros.image_memory import ImageMemory
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.vision.rectification import rectifiers_of

WATCH_PERIOD_S = 0.5


class Ros4HriBridgeNode(PerceptionNode):
    """Joins tracks and speaking status by stamp and tells of them in other people's words; says at start what it cannot tell and why."""

    NAME = 'ros4hri_bridge'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter('humans', True, 'Publish persons, faces and voices below /humans (hri_msgs).'),
        Parameter(
            'persons',
            True,
            'Publish persons too; false where hri_person_manager makes persons of our faces, voices and matches.',
        ),
        Parameter('detections', False, 'Publish vision_msgs/Detection3DArray on detections.'),
        Parameter('people', False, 'Publish people_msgs/People on people.'),
        Parameter(
            'publish_tf', True, 'Publish frames person_<id>, face_<id> and voice_<id> on /tf.'
        ),
        Parameter('face_width', 128, 'Width of cropped faces in pixels.', 16, 1024),
        Parameter('face_height', 128, 'Height of cropped faces in pixels.', 16, 1024),
        Parameter(
            'reliable_images',
            True,
            'Subscribe to images reliably; false for camera drivers that publish best effort.',
        ),
    )

    def configure(self) -> None:
        self._head = load_head(self.value('head'))
        self._camera = self._head.camera
        self._humans = Humans()
        self._topics = self._offer('humans', lambda: TopicsOfIds(self))
        self._detections = self._offer(
            'detections',
            lambda: self._message_output(
                'vision_msgs', 'Detection3DArray', 'detections', detections_message
            ),
        )
        self._people = self._offer(
            'people',
            lambda: self._message_output('people_msgs', 'People', 'people', people_message),
        )
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None
        if not (self._topics or self._detections or self._people or self._transforms):
            raise UserError(
                'nothing is left to publish: install hri_msgs (apt-get install ros-$ROS_DISTRO-hri-msgs) or leave ros4hri_bridge out'
            )
        if self._camera is None:
            self.get_logger().info('the head has no camera: no faces are published')
        if self._topics is not None:
            self.get_logger().info(
                'not published, as nothing here knows them: bodies, gaze, the separated audio of voices, permanent identities'
            )

    def activate(self) -> None:
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        self._images = ImageMemory(
            rectifiers_of(self._camera)[0].rectify if self._camera else None
        )
        self._listens = False
        pairs = make_stamp_pairs(
            self._tell, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        if self._topics is not None and self._camera is not None:
            self.every(WATCH_PERIOD_S, self._watch_demand)

    def deactivate(self) -> None:
        if getattr(self, '_topics', None) is not None:
            self._topics.close()

    def _offer(self, parameter: str, make):
        """What a parameter switches on; None when it is off, or cannot be: then why is said."""
        if not self.value(parameter):
            return None
        try:
            return make()
        except UserError as error:
            self.get_logger().warning(f'{parameter} are not published: {error}')
            return None

    def _message_output(self, package: str, name: str, topic: str, convert):
        messages = optional_messages(package)
        publisher = self.publisher(getattr(messages, name), topic, qos.FEATURES)
        return lambda frame, frame_id: publisher.publish(convert(frame, frame_id, messages))

    def _watch_demand(self) -> None:
        """Listen to the images only from when somebody looks at a face."""
        if not self._listens and self._topics.wants_crops():
            self._listens = True
            self.subscribe(
                Image,
                'left/image_raw',
                self._images.keep,
                qos.images_in(self.value('reliable_images')),
            )

    def _tell(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        frame = self._humans.step(track_frame_from_msg(tracks), speaking_frame_from_msg(statuses))
        image, frame_id = self._images.take(frame.stamp_ns), tracks.header.frame_id
        if self._topics is not None:
            self._topics.publish(frame, self._camera, None if image is None else image[0])
        for output in filter(None, (self._detections, self._people)):
            output(frame, frame_id)
        if self._transforms is not None:
            self._send_transforms(frame, frame_id)

    def _send_transforms(self, frame, frame_id: str) -> None:
        try:
            poses = self._poses.near(frame.stamp_ns, frame_id)
        except TransformUnavailable as missing:
            return self.diagnostics.count('frames not sent: no transform', str(missing))
        looked_at = poses.reference_from_optical or poses.reference_from_base
        self._transforms.send(
            human_transforms(frame, frame_id, looked_at.translation, self.value('persons'))
        )


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(Ros4HriBridgeNode))


if __name__ == '__main__':
    main()
