"""What the nodes that hear with two microphones share: sound in, time differences out, paired with what is seen."""

from __future__ import annotations

from av_perception_msgs.msg import AudioChunk

from av_perception.audio.time_differences import TimeDifferenceExtractor, TimeDifferences
from av_perception.clustering.microphone_pair import MicrophonePair
from av_perception.errors import UserError
from av_perception.heads import HeadProfile, load_head
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_from_msg, microphones_of
from av_perception.ros.ego_motion import MAX_TURN_RATE, listen_to_motion
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD
from av_perception.ros.settings import PAIRING_PARAMETERS, TIME_DIFFERENCE_PARAMETERS, assembler_config, microphone_pair, time_difference_config
from av_perception.tracking.ego_motion import EgoMotion
from av_perception.tracking.frame_assembler import FrameAssembler

POLL_PERIOD_S = 0.1   # sound and images drive the node; polling only ends the waiting when both have stopped


class MicrophonePairNode(PerceptionNode):
    """Subscribes to `audio`; subclasses hand what they see to `see` and implement `process(stamp_ns, visual, sound)`."""

    PARAMETERS = (
        HEAD,
        Parameter('chunk_ms', 32.0, 'Expected length of a chunk of sound in milliseconds; sizes the queue.', 1.0, 100.0),
        MAX_TURN_RATE,
        *TIME_DIFFERENCE_PARAMETERS,
        *PAIRING_PARAMETERS,
    )

    def configure(self) -> None:
        head = load_head(self.value('head'))
        if not head.can_hear_directions:
            raise UserError(f"head '{self.value('head')}' has not two microphones: leave {self.NAME} out")
        self.head, self._channels = head, microphone_pair(self.value, head)
        if not all(0 <= c < len(head.microphones.coordinates) for c in self._channels) or len(set(self._channels)) < 2:
            raise UserError(f'first_microphone and second_microphone must be two of the channels 0..{len(head.microphones.coordinates) - 1}, '
                            f'not {self._channels[0]} and {self._channels[1]}')
        self.pair = MicrophonePair.of_array(head.microphones, self._channels)
        self._extractor, self._sample_rate = self._make_extractor(head.microphones.sample_rate), head.microphones.sample_rate
        self._assembler = FrameAssembler(assembler_config(self.value, head))
        self._motion = EgoMotion(self.value('max_turn_rate'), self.value('window'))

    def activate(self) -> None:
        self.subscribe(AudioChunk, 'audio', self._on_audio, qos.audio(1e-3 * self.value('chunk_ms')))
        listen_to_motion(self, self._motion, self.head.head_joints)
        self.every(POLL_PERIOD_S, self._step)

    def process(self, stamp_ns: int, visual, sound: TimeDifferences | None) -> None:
        """One frame: what was seen (None: no image) with the sound of its time."""
        raise NotImplementedError

    def see(self, visual) -> None:
        """Take what one image showed; it has a `stamp_ns`."""
        self._assembler.push_visual(visual, self._now_ns())
        self._step()

    def _on_audio(self, message: AudioChunk) -> None:
        array = self.head.microphones
        chunk = microphones_of(audio_chunk_from_msg(message), array, 'the audio topic')
        if self._sample_rate != chunk.sample_rate:
            self.diagnostics.count('changes of sample rate', f'{self._sample_rate} Hz to {chunk.sample_rate} Hz')
            self._extractor, self._sample_rate = self._make_extractor(chunk.sample_rate), chunk.sample_rate
        for block in self._extractor.push(chunk):
            self._assembler.push_audio(block, self._now_ns())
        self.diagnostics.absorb('sound', self._extractor.counters)
        self._step()

    def _make_extractor(self, sample_rate: int) -> TimeDifferenceExtractor:
        array = self.head.microphones
        return TimeDifferenceExtractor(time_difference_config(self.value), self._channels, self.pair.max_itd, len(array.coordinates), sample_rate)

    def _step(self) -> None:
        for stamp_ns, visual, sound in self._assembler.poll(self._now_ns()):
            if sound is not None and self._motion.drowns(stamp_ns):
                self.diagnostics.count('sounds left out: the head turns')
                sound = None
            self.process(stamp_ns, visual, sound)
        self.diagnostics.absorb('pairing', self._assembler.counters)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def require_camera(head: HeadProfile, name: str) -> None:
    """Raises UserError for a head without a camera."""
    if head.camera is None:
        raise UserError(f"head '{head.name}' has no camera: {name} needs faces")
