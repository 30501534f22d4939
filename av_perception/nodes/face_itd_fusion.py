# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node `face_itd_fusion`: who is seen and who speaks, with two microphones.

`visual_features` and `audio` to people on `tracks` and who speaks on `speaking_status`. It takes
the place of audio_features, tracker and speaking_status on small robots (launch argument
mode:=minimal) and speaks their topics. The direction of a sound that belongs to no face goes to
`unseen_sound`, for a robot that wants to turn and look.
"""

from __future__ import annotations

import sys

from av_perception_msgs.msg import SpeakingStatusArray, TrackArray, VisualFeatures
from geometry_msgs.msg import Vector3Stamped

from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import (
    direction_to_msg,
    speaking_frame_to_msg,
    track_frame_to_msg,
    visual_features_from_msg,
)
from av_perception.ros.pair_node import MicrophonePairNode, require_camera
from av_perception.ros.parameters import ReadParameter
from av_perception.ros.person_frames import PERSON_FRAMES, person_transforms
from av_perception.ros.process import run_node
from av_perception.ros.settings import (
    FUSION_PARAMETERS,
    SPEAKING_PARAMETERS,
    fusion_config,
    speaking_config,
)
from av_perception.two_microphones.face_itd_fusion import FaceItdFusion
from av_perception.two_microphones.time_differences import TimeDifferences


class FaceItdFusionNode(MicrophonePairNode):
    """One frame per image.

    Faces keep their ids, their ITDs share out the sound, a hidden Markov filter says who speaks.
    """

    NAME = 'face_itd_fusion'
    PARAMETERS = (
        *MicrophonePairNode.PARAMETERS,
        *PERSON_FRAMES,
        *FUSION_PARAMETERS,
        *SPEAKING_PARAMETERS,
    )

    _speaking: SpeakingFilter | None = None

    def configure(self) -> None:
        """Build the fusion and the filter."""
        super().configure()
        camera = require_camera(self.head, self.NAME)
        known: tuple[FaceItdFusion, SpeakingFilter] | None = self.take_inherited()
        self._fusion, self._speaking = known or (
            FaceItdFusion(fusion_config(self.value), camera, self.pair),
            SpeakingFilter(speaking_config(self.value)),
        )
        self._tracks = self.publisher(TrackArray, 'tracks', qos.FEATURES)
        self._statuses = self.publisher(SpeakingStatusArray, 'speaking_status', qos.FEATURES)
        self._unseen = self.publisher(Vector3Stamped, 'unseen_sound', qos.FEATURES)
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None

    def core(self) -> tuple[FaceItdFusion, SpeakingFilter | None]:
        """Give who is there, and who speaks."""
        return self._fusion, self._speaking

    def tune(self, value: ReadParameter) -> None:
        """Take over thresholds and delays."""
        config = speaking_config(value)
        if self._speaking is not None:
            self._speaking.config = config

    def activate(self) -> None:
        """Listen to the faces, and to the sound."""
        self.subscribe(VisualFeatures, 'visual_features', self._on_faces, qos.FEATURES)
        super().activate()

    def _on_faces(self, message: VisualFeatures) -> None:
        self.see(visual_features_from_msg(message))

    def process_frame(self, stamp_ns: int, visual, sound: TimeDifferences | None) -> None:
        """Publish who is there and who speaks."""
        assert self._speaking is not None  # since configure
        frame = self._fusion.step(stamp_ns, visual, sound)
        base_frame = self.head.base_frame
        self._tracks.publish(track_frame_to_msg(frame, base_frame))
        self._statuses.publish(speaking_frame_to_msg(self._speaking.step(frame), base_frame))
        unseen = self._fusion.unseen_sound
        if unseen is not None:
            self._unseen.publish(direction_to_msg(unseen, base_frame, stamp_ns))
        if self._transforms is not None:
            self._transforms.send(
                person_transforms(frame, base_frame, self.value('person_frame_prefix'))
            )
        self.diagnostics.absorb('fusion', self._fusion.counters)


def main() -> None:
    """Run the process."""
    sys.exit(run_node(FaceItdFusionNode))


if __name__ == '__main__':
    main()
