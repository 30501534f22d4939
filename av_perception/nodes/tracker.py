"""Node `tracker`: `visual_features` and `audio_features` to people with stable ids on `tracks` and /tf."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import AudioFeatures, TrackArray, VisualFeatures

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.frontend import AudioFrontEndConfig
from av_perception.audio.learning import AcousticMapConfig, checked_map, head_map
from av_perception.data import LifeState, TrackFrame
from av_perception.geometry import RigidTransform
from av_perception.heads import load_head
from av_perception.ros import qos
from av_perception.ros.compat import TransformBroadcaster
from av_perception.ros.conversions import audio_features_from_msg, track_frame_to_msg, transform_to_msg, visual_features_from_msg
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.settings import TRACKER_PARAMETERS, assembler_config, tracker_config
from av_perception.tracking.frame_assembler import FrameAssembler
from av_perception.tracking.tracker import Tracker

POLL_PERIOD_S = 0.03   # features drive the tracker; polling only ends the waiting for sound that does not come


class TrackerNode(PerceptionNode):
    """Pairs the features by stamp, steps the tracker once per image, and publishes its people."""

    NAME = 'tracker'
    PARAMETERS = (
        HEAD,
        Parameter('acoustic_map', '', 'File of a learnt acoustic map; empty learns one from the geometry of the head (free field).'),
        Parameter('publish_tf', True, 'Publish a frame person_<id> on /tf for every active person.'),
        *TRACKER_PARAMETERS,
    )

    def configure(self) -> None:
        head = load_head(self.value('head'))
        self._tracker = Tracker(tracker_config(self.value), head, self._acoustic_map(head))
        self._assembler = FrameAssembler(assembler_config(self.value, head))
        self._reference_frame = head.base_frame
        self._hears, self._sees = head.can_hear_directions, head.camera is not None
        self._publisher = self.publisher(TrackArray, 'tracks', qos.FEATURES)
        self._transforms = TransformBroadcaster(self) if self.value('publish_tf') else None

    def activate(self) -> None:
        if self._sees:
            self.subscribe(VisualFeatures, 'visual_features', self._on_visual, qos.FEATURES)
        if self._hears:
            self.subscribe(AudioFeatures, 'audio_features', self._on_audio, qos.FEATURES)
        self.every(POLL_PERIOD_S, self._step)

    def _acoustic_map(self, head) -> AcousticMap | None:
        if not head.can_hear_directions:
            return None
        if not self.value('acoustic_map'):
            return head_map(head.microphones, AcousticMapConfig(), AudioFrontEndConfig())
        return checked_map(self.value('acoustic_map'), head.microphones, AudioFrontEndConfig())

    def _on_visual(self, message: VisualFeatures) -> None:
        self._assembler.push_visual(visual_features_from_msg(message), self._now_ns())
        self._step()

    def _on_audio(self, message: AudioFeatures) -> None:
        self._assembler.push_audio(audio_features_from_msg(message), self._now_ns())
        self._step()

    def _step(self) -> None:
        for stamp_ns, visual, audio in self._assembler.poll(self._now_ns()):
            frame = self._tracker.step(stamp_ns, visual, audio)
            self._publisher.publish(track_frame_to_msg(frame, self._reference_frame))
            self._send_transforms(frame)
        self.diagnostics.absorb('pairing', self._assembler.counters)
        self.diagnostics.absorb('tracker', self._tracker.counters)

    def _send_transforms(self, frame: TrackFrame) -> None:
        if self._transforms is None:
            return
        people = [t for t in frame.tracks if t.state == LifeState.ACTIVE]
        self._transforms.send([transform_to_msg(RigidTransform(translation=t.mean[:3]), self._reference_frame, f'person_{t.id}', frame.stamp_ns)
                               for t in people])

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(TrackerNode))


if __name__ == '__main__':
    main()
