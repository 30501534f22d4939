"""Node `audio_features`: `audio` to inter-channel features per sub-band on `audio_features`."""

from __future__ import annotations

import sys

from av_perception_msgs.msg import AudioChunk, AudioFeatures

from av_perception.audio.frontend import AudioFrontEnd, AudioFrontEndConfig
from av_perception.data import AudioChunk as Chunk
from av_perception.errors import UserError
from av_perception.heads import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    audio_chunk_from_msg, audio_features_to_msg, microphones_of)
from av_perception.ros.node import PerceptionNode, run_node
from av_perception.ros.parameters import Parameter
from av_perception.ros.playback import HEAD


class AudioFeaturesNode(PerceptionNode):
    """Feeds the chunks to the front end; each window of 40 ms becomes one message stamped with the window's centre."""

    NAME = 'audio_features'
    PARAMETERS = (HEAD, Parameter('chunk_ms', 32.0, 'Expected length of a chunk in milliseconds; sizes the queue.', 1.0, 100.0))

    def configure(self) -> None:
        self._array = load_head(self.value('head')).microphones
        if self._array is None:
            raise UserError(f"head '{self.value('head')}' has no microphones: leave audio_features out")
        self._front_end, self._sample_rate = self._make_front_end(self._array.sample_rate), self._array.sample_rate
        self._publisher = self.publisher(AudioFeatures, 'audio_features', qos.FEATURES)

    def activate(self) -> None:
        self.subscribe(AudioChunk, 'audio', self._on_audio, qos.audio(1e-3 * self.value('chunk_ms')))

    def _on_audio(self, message: AudioChunk) -> None:
        chunk = microphones_of(audio_chunk_from_msg(message), self._array, 'the audio topic')
        for features in self._front_end_for(chunk).push(chunk):
            self._publisher.publish(audio_features_to_msg(features, self._array.frame))
        self.diagnostics.absorb('sound', self._front_end.counters)

    def _front_end_for(self, chunk: Chunk) -> AudioFrontEnd:
        """The stream itself says its sample rate; a change of it (another device) starts afresh."""
        if self._sample_rate != chunk.sample_rate:
            self.diagnostics.count('changes of sample rate', f'{self._sample_rate} Hz to {chunk.sample_rate} Hz')
            self._front_end, self._sample_rate = self._make_front_end(chunk.sample_rate), chunk.sample_rate
        return self._front_end

    def _make_front_end(self, sample_rate: int) -> AudioFrontEnd:
        return AudioFrontEnd(AudioFrontEndConfig(), len(self._array.coordinates), sample_rate)


def main() -> None:
    """Entry point of the process."""
    sys.exit(run_node(AudioFeaturesNode))


if __name__ == '__main__':
    main()
