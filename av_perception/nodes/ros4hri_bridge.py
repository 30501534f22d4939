# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `ros4hri_bridge`: `tracks` and `speaking_status` as REP-155 wants people.

They go below /humans and on /tf; behind switches also as `detections` (vision_msgs) and `people`
(people_msgs).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray

from av_perception.errors import UserError
from av_perception.geometry.transform_tree import TransformUnavailable
from av_perception.hri.people import Humans, HumansFrame, gazes
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster, make_stamp_pairs
from av_perception.ros.conversions import (
    speaking_frame_from_msg,
    track_frame_from_msg,
)
from av_perception.ros.head_pose_memory import HeadPoseMemory
from av_perception.ros.hri_messages import detections_message, human_transforms, people_message
from av_perception.ros.hri_topics import TopicsOfIds, optional_messages
from av_perception.ros.human_voices import HumanVoices
from av_perception.ros.image_memory import ImageMemory
from av_perception.ros.image_source import image_source
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import COMPRESSED, RELIABLE_IMAGES, Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.process import run_node
from av_perception.ros.transforms import REFERENCE_FRAME, HeadPoses
from av_perception.vision.rectification import rectifiers_of

WATCH_PERIOD_S = 0.5
Offer = TypeVar('Offer')
Output = Callable[[HumansFrame, str], None]  # publishes the people of a frame


class Ros4HriBridgeNode(PerceptionNode):
    """Joins tracks and speaking status by stamp and tells of them in other people's words.

    It says at start what it cannot tell and why.
    """

    NAME = 'ros4hri_bridge'
    PARAMETERS = (
        HEAD,
        REFERENCE_FRAME,
        Parameter('humans', True, 'Publish persons, faces and voices below /humans (hri_msgs).'),
        Parameter(
            'persons',
            True,
            'Publish persons too; false where hri_person_manager makes persons of our faces, '
            'voices and matches.',
        ),
        Parameter(
            'voice_audio',
            True,
            'Hand the streams of the node voices on as /humans/voices/<id>/audio, where it runs '
            'and audio_common_msgs is installed.',
        ),
        Parameter('detections', False, 'Publish vision_msgs/Detection3DArray on detections.'),
        Parameter('people', False, 'Publish people_msgs/People on people.'),
        Parameter(
            'publish_tf', True, 'Publish frames person_<id>, face_<id> and voice_<id> on /tf.'
        ),
        Parameter(
            'head_poses',
            True,
            'Take the orientation of faces, gaze_<id> and who looks at whom from head_poses, '
            'where the node head_pose runs (head_pose:=true).',
        ),
        Parameter('face_width', 128, 'Width of cropped faces in pixels.', 16, 1024),
        Parameter('face_height', 128, 'Height of cropped faces in pixels.', 16, 1024),
        COMPRESSED,
        RELIABLE_IMAGES,
    )

    _topics: TopicsOfIds | None = None
    _voices: HumanVoices | None = None

    def configure(self) -> None:
        """Make the outputs that are switched on and can be."""
        self._head = load_head(self.value('head'))
        self._humans = Humans()
        self._topics = self._offer('humans', lambda: TopicsOfIds(self))
        offers = (
            self._offer('detections', self._make_detections),
            self._offer('people', self._make_people),
        )
        self._outputs = [output for output in offers if output is not None]
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None
        if not (self._topics or self._outputs or self._transforms):
            raise UserError(
                'nothing is left to publish: install hri_msgs '
                '(apt-get install ros-$ROS_DISTRO-hri-msgs) or leave ros4hri_bridge out'
            )
        if self._head.camera is None:
            self.get_logger().info('the head has no camera: no faces are published')
        if self._topics is not None:
            self._voices = self._offer('voice_audio', lambda: HumanVoices(self))
            self.get_logger().info(
                'not published, as nothing here knows them: bodies, permanent identities'
            )

    def activate(self) -> None:
        """Listen to the people; to images when somebody looks at a face."""
        self._poses = HeadPoses(self, self._head, self.value('reference_frame'))
        self._images = ImageMemory()
        self._source = image_source(self)
        if self._head.camera is not None:
            rectify = rectifiers_of(self._head.camera)[0].rectify
            self._images = ImageMemory(rectify, self._source.decode)
        self._listens = False
        pairs = make_stamp_pairs(
            self._tell, lambda: self.diagnostics.count('tracks without speaking status')
        )
        self.subscribe(TrackArray, 'tracks', pairs.first, qos.FEATURES)
        self.subscribe(SpeakingStatusArray, 'speaking_status', pairs.second, qos.FEATURES)
        self._heads = HeadPoseMemory()
        self._last_gaze_ns = 0
        if self.value('head_poses'):
            self.subscribe(
                HeadPoseArray, 'head_poses', self._heads.keep, qos.FEATURES, timeout_s=None
            )
        topics = self._topics
        if topics is not None and self._head.camera is not None:
            self.every(WATCH_PERIOD_S, lambda: self._watch_demand(topics))

    def deactivate(self) -> None:
        """Take down the publishers of all ids."""
        if self._topics is not None:
            self._topics.close()
        if self._voices is not None:
            self._voices.close()

    def _offer(self, parameter: str, make: Callable[[], Offer]) -> Offer | None:
        """Make what a parameter switches on.

        None when it is off, or cannot be: then why is said.
        """
        if not self.value(parameter):
            return None
        try:
            return make()
        except UserError as error:
            self.get_logger().warning(f'{parameter} are not published: {error}')
            return None

    def _make_detections(self) -> Output:
        messages = optional_messages('vision_msgs')
        publisher = self.publisher(messages.Detection3DArray, 'detections', qos.FEATURES)
        return lambda frame, frame_id: publisher.publish(
            detections_message(frame, frame_id, messages)
        )

    def _make_people(self) -> Output:
        messages = optional_messages('people_msgs')
        publisher = self.publisher(messages.People, 'people', qos.FEATURES)
        return lambda frame, frame_id: publisher.publish(people_message(frame, frame_id, messages))

    def _watch_demand(self, topics: TopicsOfIds) -> None:
        """Listen to the images only from when somebody looks at a face."""
        if not self._listens and topics.wants_crops():
            self._listens = True
            source = self._source
            self.subscribe(source.kind, source.topic('left'), self._images.keep, source.profile)

    def _tell_gazes(self, topics: TopicsOfIds, frame: HumansFrame, frame_id: str) -> None:
        """Tell who faces whom, once for every message of head poses."""
        heads = self._heads.near(frame.stamp_ns, frame_id)
        if heads is None or not topics.tells_gazes or heads.stamp_ns == self._last_gaze_ns:
            return
        self._last_gaze_ns = heads.stamp_ns
        topics.publish_gazes(heads.stamp_ns, frame_id, gazes(frame, heads))

    def _tell(self, tracks: TrackArray, statuses: SpeakingStatusArray) -> None:
        frame = self._humans.step(track_frame_from_msg(tracks), speaking_frame_from_msg(statuses))
        frame_id = tracks.header.frame_id
        image = self._images.take_image(frame.stamp_ns)
        if self._topics is not None:
            pixels = None if image is None else image[0]
            self._topics.publish(frame, self._head.camera, pixels)
            self._tell_gazes(self._topics, frame, frame_id)
        if self._voices is not None:
            self._voices.follow(frame)
        for output in self._outputs:
            output(frame, frame_id)
        if self._transforms is not None:
            self._send_transforms(self._transforms, frame, frame_id)

    def _send_transforms(
        self, broadcaster: TransformBroadcaster, frame: HumansFrame, frame_id: str
    ) -> None:
        try:
            poses = self._poses.near(frame.stamp_ns, frame_id)
        except TransformUnavailable as missing:
            self.diagnostics.count('frames not sent: no transform', str(missing))
            return
        looked_at = poses.reference_from_optical or poses.reference_from_base
        persons = self.value('persons')
        heads = self._heads.near(frame.stamp_ns, frame_id)
        known = () if heads is None else heads.heads
        orientations = {head.id: head.rotation for head in known if head.rotation is not None}
        transforms = human_transforms(
            frame, frame_id, looked_at.translation, persons, orientations
        )
        broadcaster.send(transforms)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(Ros4HriBridgeNode))


if __name__ == '__main__':
    main()
