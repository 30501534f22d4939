# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The whole suite offline: a recording in, people and their speech out.

The stages and the pairing are those of the nodes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.direction_bins import DirectionLikelihood
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.audio.voice_activity import SharedVoiceActivity
from av_perception.diarization.seen_angles import SeenAngles
from av_perception.diarization.speaking_estimator import (
    SpeakingEstimator,
    SpeakingEstimatorConfig,
)
from av_perception.errors import UserError
from av_perception.interfaces import (
    AudioChunk,
    AudioFeatures,
    MouthFrame,
    SpeakingFrame,
    TrackFrame,
    VisualFeatures,
)
from av_perception.lips.mouth_crop import crop_mouths
from av_perception.pipelines.mouth_looks import MouthLooks
from av_perception.pipelines.recording_problems import SoundSample, image_problems
from av_perception.recording import Recording
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.separation.person_streams import PersonStreams, PersonStreamsConfig
from av_perception.separation.stream_synthesis import VoiceChunk
from av_perception.synchronization.block_queue import BlockQueue
from av_perception.synchronization.frame_assembler import (
    Frame,
    FrameAssembler,
    FrameAssemblerConfig,
)
from av_perception.tracking.tracker import Tracker, TrackerConfig
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig
from av_perception.vision.image_check import BadImage

CHUNK_S = 0.016
START_NS = 1_000_000_000  # stamp of second 0: a stamp of 0 would mean 'never'

Result = tuple[TrackFrame, SpeakingFrame]


@dataclass(frozen=True)
class PipelineConfig:
    """One entry per stage."""

    #: from images to faces
    vision: VisualFrontEndConfig = field(default_factory=VisualFrontEndConfig)
    #: from sound to features of sub-bands
    audio: AudioFrontEndConfig = field(default_factory=AudioFrontEndConfig)
    #: from faces and features to people
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    #: who speaks
    speaking: SpeakingEstimatorConfig = field(default_factory=SpeakingEstimatorConfig)
    #: a voice for each person, where asked for
    voices: PersonStreamsConfig = field(default_factory=PersonStreamsConfig)


_DEFAULT = PipelineConfig()


class OfflinePipeline:
    """Runs a recording through features, tracker and speaking status.

    `run` does all of it. Who has sound and images from elsewhere gives them to `hear` and `see`,
    and takes the results from `poll` and, at the end, from `flush`.

    Parameters
    ----------
    recording
        Its head tells which stages there are.
    config
        Of each stage.
    acoustic_map
        None takes that of the recording's head.

    Raises
    ------
    UserError
        When the face detector's model is missing, or the acoustic map of the head unfit.
    """

    #: Whether directions come from single time-frequency bins, too, not from sub-bands alone.
    HEARS_BINS = True

    def __init__(
        self,
        recording: Recording,
        config: PipelineConfig = _DEFAULT,
        acoustic_map: AcousticMap | None = None,
    ):
        head = recording.head
        self._recording = recording
        self._hears = head.can_hear_directions and recording.has_sound
        self._vision: VisualFrontEnd | None = None
        if head.camera is not None and recording.num_frames:
            self._vision = VisualFrontEnd(config.vision, head.camera)
        self._voice = SharedVoiceActivity()  # once for all who hear
        self._audio, self._tracker = self._make_stages(config, acoustic_map)
        self._sound: SoundSample | None = None
        if head.microphones is not None and recording.has_sound:
            self._sound = SoundSample(head.microphones)
        self._bins: BinStream | None = None
        likelihood: DirectionLikelihood | None = None
        if self.HEARS_BINS and self._audio is not None and head.microphones is not None:
            likelihood = direction_likelihood(head.microphones)
            voice = self._voice.listener()
            self._bins = BinStream(likelihood, recording.sample_rate, voice=voice)
        self._blocks = BlockQueue()
        wait_s = math.inf if self._hears else 0.0
        self._assembler = FrameAssembler(
            FrameAssemblerConfig(video_period_s=1.0 / recording.frame_rate, audio_wait_s=wait_s)
        )
        speaking = replace(config.speaking, audio_wait_s=math.inf)
        self._speaking = SpeakingEstimator(speaking, likelihood, SeenAngles.of_head(head))
        self._counters: Counter = Counter()
        self._num_images = 0
        self._next_sample = 0
        self._ahead = np.zeros((0, 1), np.float32)  # read from the file
        self._ahead_start = 0
        self._voices_config = replace(config.voices, track_wait_s=math.inf)
        self._voices: PersonStreams | None = None
        self._take_voices: Callable[[list[VoiceChunk]], None] = lambda pieces: None
        self._mouth_looks = MouthLooks(config.speaking.lips, self._hears)
        self._take_mouths: Callable[[MouthFrame], None] = lambda frame: None

    def watch_mouths(self, take_mouths: Callable[[MouthFrame], None]) -> None:
        """Cut out mouths, too.

        Parameters
        ----------
        take_mouths
            Called with the mouths of each image, before its tracks.

        Raises
        ------
        UserError
            Where there are no images.
        """
        if self._vision is None:
            raise UserError('this recording has no images: there are no mouths in it')
        self._mouth_looks.is_always = True
        self._take_mouths = take_mouths

    def separate(self, take_voices: Callable[[list[VoiceChunk]], None]) -> None:
        """Separate voices, too.

        Parameters
        ----------
        take_voices
            Called with the sound of people as it becomes complete.

        Raises
        ------
        UserError
            For a head that hears no directions.
        """
        microphones = self._recording.head.microphones
        if microphones is None or self._bins is None:
            raise UserError('this recording has no directions of sound: no voices can be told')
        self._voices = PersonStreams(microphones, self._recording.sample_rate, self._voices_config)
        self._take_voices = take_voices

    def _make_stages(self, config: PipelineConfig, acoustic_map: AcousticMap | None) -> tuple:
        """Make what hears (None: nothing does) and what tracks."""
        recording, head = self._recording, self._recording.head
        if not self._hears or head.microphones is None:
            return None, Tracker(config.tracker, head, None)
        if acoustic_map is None:
            acoustic_map = head_map(head.microphones, AcousticMapConfig(), config.audio)
        hearing = AudioFrontEnd(
            config.audio, recording.num_channels, recording.sample_rate, self._voice.listener()
        )
        return hearing, Tracker(config.tracker, head, acoustic_map)

    @property
    def vision(self) -> VisualFrontEnd | None:
        """What looks at the images, None where there are none."""
        return self._vision

    @property
    def counters(self) -> Counter:
        """How often something was dropped or repaired so far, by reason."""
        stages = [self._counters, self._assembler.counters, self._tracker.counters]
        stages.append(self._speaking.counters)
        if self._audio is not None:
            stages.append(self._audio.counters)
        return sum((Counter(stage) for stage in stages), Counter())

    @property
    def problems(self) -> list[str]:
        """Sentences on what is doubtful about the recording, the images and the head profile."""
        problems = [self._recording.problem]
        if self._vision is not None:
            problems += [*self._vision.calibration_problems, self._vision.disparity_problem]
            problems += [self._vision.scale.problem, *image_problems(self._vision.counters)]
        if self._sound is not None:
            problems += self._sound.problems
        speaking = self._speaking
        problems += [self._pairing_problem, speaking.sound_problem, speaking.lag_problem]
        return [problem for problem in problems if problem]

    @property
    def _pairing_problem(self) -> str:
        """A sentence when most images go without sound although there is some, else ''."""
        without = self._assembler.counters['without_audio']
        if not self._hears or 2 * without <= self._num_images:
            return ''
        reason = self._assembler.reasons['without_audio']
        return f'{without} of {self._num_images} images are without sound: {reason}'

    def run(self, progress: Callable[[float], None] = lambda fraction: None) -> list[Result]:
        """Run the whole recording, once.

        Parameters
        ----------
        progress
            Called with the fraction in [0, 1] that is done.

        Returns
        -------
        list of (TrackFrame, SpeakingFrame)
            Those of every image in order (without images: of every block of sound). Their stamps
            [ns] count from START_NS, which is second 0 of the recording.

        Raises
        ------
        UserError
            When a file of the recording is damaged.
        """
        recording = self._recording
        results: list[Result] = []
        if self._vision is not None:
            for index, _, left, right in recording.images():
                stamp_ns = START_NS + image_stamp_ns(recording, index)
                self._hear_until(stamp_ns)
                self.see(stamp_ns, left, right)
                results += self.poll(stamp_ns)
                progress((index + 1) / recording.num_frames)
        # The sound after the last image, or all of it without images.
        while self._hears and self._next_sample < recording.num_samples:
            stamp_ns = self._chunk_end_ns()
            self._hear_until(stamp_ns)
            results += self.poll(stamp_ns)
            progress(min(1.0, self._next_sample / recording.num_samples))
        return results + self.flush()

    def hear(self, chunk: AudioChunk) -> None:
        """Take sound as captured, in order; a pipeline that does not hear drops it."""
        if self._audio is None or self._sound is None:
            return
        self._sound.take(chunk)
        for features in self._audio.push(chunk):
            self.take_audio(features)
        if self._bins is None:
            return
        # The bins are computed once, for the tracker, the speaking status and the voices.
        blocks = self._bins.push(chunk)
        self._blocks.push(blocks)
        self._speaking.take_blocks(blocks)
        if self._voices is not None:
            self._take_voices(self._voices.push(chunk, blocks=blocks))

    def take_audio(self, features: AudioFeatures) -> None:
        """Take features of sound that were computed already."""
        self._assembler.push_audio(features, 0)  # Nothing is late: time stands still.

    def see(self, stamp_ns: int, left: np.ndarray, right: np.ndarray | None) -> None:
        """Take an image or a pair; one that cannot be used is counted.

        Parameters
        ----------
        stamp_ns
            Of the image [ns].
        left, right
            (height, width, 3) uint8 BGR each; right None with one camera.
        """
        if self._vision is None:
            self._counters['images without a camera in the head profile'] += 1
            return
        try:
            features = self._vision.process(stamp_ns, left, right)
            left_image = self._vision.left_image
            if self._mouth_looks.is_due(stamp_ns) and left_image is not None:
                crops = crop_mouths(left_image, features.faces)
                self.take_mouths(MouthFrame(stamp_ns, crops))
            self.take_visual(features)
        except BadImage as error:
            self._counters[f'bad images: {error}'] += 1

    def take_mouths(self, mouths: MouthFrame) -> None:
        """Take the mouths of the faces of an image, before these faces."""
        self._speaking.take_mouths(mouths)
        self._take_mouths(mouths)

    def take_visual(self, features: VisualFeatures) -> None:
        """Take faces that were found already."""
        self._num_images += 1
        self._assembler.push_visual(features, 0)

    def poll(self, stamp_ns: int) -> list[Result]:
        """Track the frames that are complete at a moment [ns]."""
        return self._step(self._assembler.poll(stamp_ns))

    def flush(self) -> list[Result]:
        """Track what is left at the end."""
        results = self._step(self._assembler.flush()) + self._speaking.flush()
        if self._voices is not None:
            self._take_voices(self._voices.flush())
        return results

    def _hear_until(self, stamp_ns: int) -> None:
        """Feed the chunks that were complete at a moment."""
        recording = self._recording
        while self._audio is not None and self._next_sample < recording.num_samples:
            if self._chunk_end_ns() > stamp_ns:
                return
            first = self._next_sample
            samples = self._read_sound(first, self._chunk_size)
            start_ns = START_NS + sample_stamp_ns(recording, first)
            self._next_sample += len(samples)
            self.hear(AudioChunk(start_ns, recording.sample_rate, first, samples))

    @property
    def _chunk_size(self) -> int:
        """Samples per chunk: at 44.1 kHz they last a little longer than CHUNK_S."""
        return max(1, round(CHUNK_S * self._recording.sample_rate))

    def _chunk_end_ns(self) -> int:
        """Tell when the next chunk is complete [ns]."""
        end = self._next_sample + self._chunk_size
        return START_NS + sample_stamp_ns(self._recording, end)

    def _read_sound(self, first: int, count: int) -> np.ndarray:
        """Read a chunk (count, channels); the file is opened once a second."""
        recording = self._recording
        wanted_end = min(first + count, recording.num_samples)
        if not self._ahead_start <= first <= wanted_end <= self._ahead_start + len(self._ahead):
            self._ahead = recording.read_audio(first, max(count, recording.sample_rate))
            self._ahead_start = first
        offset = first - self._ahead_start
        return self._ahead[offset : offset + count]

    def _step(self, frames: list[Frame]) -> list[Result]:
        array = self._recording.head.microphones
        base_from_array = array.base_from_array if array is not None else None
        for stamp_ns, visual, audio in frames:
            if self._bins is None:
                frame = self._tracker.step(stamp_ns, visual, audio)
            else:
                blocks = self._blocks.take(stamp_ns)
                frame = self._tracker.step(stamp_ns, visual, audio, blocks=blocks)
            self._speaking.follow(frame, base_from_array, stamp_ns)
            if self._voices is not None:
                self._take_voices(self._voices.follow(frame, base_from_array))
        return self._speaking.poll(0)
