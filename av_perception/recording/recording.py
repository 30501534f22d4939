# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording on disk: one folder with the sound of all microphones, the images of one or two cameras, and maybe the truth.

    recording.yaml    head, sample_rate, audio_start; with images also frame_rate and video_start
    audio.flac|.wav   one channel per microphone in the head profile's order, or all channels of
                      the device, of which the profile names the microphones' (device_channels)
    left.mp4, right.mp4 (or .mkv, .avi, ...), or left/000000.png ..., right/000000.png ...; no `right` with one camera, neither for sound alone
    truth.csv         optional, see `tables.TruthTable`

`head` is a profile's name, an absolute path, or a path relative to the folder. Sample n is at `audio_start + n / sample_rate`, image k
at `video_start + k / frame_rate`, in seconds on one clock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml

from av_perception.config import are_missing, config_from_mapping, read_yaml
from av_perception.errors import UserError
from av_perception.recording.images import (
    MISCOUNTED,
    VIDEOS,
    ImageSequence,
    ImageWriter,
    find_images,
)
from av_perception.recording.sound_file import open_sound, read_samples
from av_perception.recording.tables import TruthTable
from av_perception.robot_head import HeadProfile, load_head

DEFAULT_FRAME_RATE = 25.0


@dataclass(frozen=True)
class RecordingInfo:
    """The content of `recording.yaml`. `origin` is free: whatever its maker wants to remember."""

    head: str
    sample_rate: int
    audio_start: float
    frame_rate: float | None = None
    video_start: float | None = None
    origin: dict | None = None

    def __post_init__(self):
        if not 8000 <= self.sample_rate <= 192000:
            raise ValueError(f'sample_rate must lie in 8000..192000 Hz, not {self.sample_rate}')
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise ValueError(f'frame_rate must lie in 0..1000 Hz, not {self.frame_rate}')
        for name in ('audio_start', 'video_start'):
            if not np.isfinite(getattr(self, name) or 0.0):
                raise ValueError(f'{name} must be finite, in seconds')


class Recording:
    """A recording folder opened and checked. Sound is read on demand, images are decoded one pair at a time."""

    def __init__(
        self,
        folder: Path,
        info: RecordingInfo,
        head_name: str,
        head: HeadProfile,
        audio: Path,
        left: ImageSequence | None,
        right: ImageSequence | None,
    ):
        self.folder, self.head_name, self.head, self.origin = (
            folder,
            head_name,
            head,
            info.origin or {},
        )
        self._audio, self._left, self._right = audio, left, right
        self.sample_rate, self.audio_start_s = info.sample_rate, info.audio_start
        self.num_channels = len(head.microphones.coordinates)
        with open_sound(audio) as sound:
            self.num_samples = sound.frames
        self.frame_rate = info.frame_rate or (
            head.camera.frame_rate if head.camera else DEFAULT_FRAME_RATE
        )
        self.video_start_s = info.audio_start if info.video_start is None else info.video_start
        self.num_frames = min(images.length for images in (left, right) if images) if left else 0
        self.truth = (
            TruthTable.read(folder / 'truth.csv') if (folder / 'truth.csv').exists() else None
        )

    @classmethod
    def open(cls, folder) -> Recording:
        """Open and check the recording in `folder`. Raises UserError for whatever is missing or does not fit together."""
        folder = Path(folder)
        if not (folder / 'recording.yaml').is_file():
            raise UserError(f'{folder} is not a recording: it holds no recording.yaml')
        where = str(folder / 'recording.yaml')
        info = config_from_mapping(RecordingInfo, read_yaml(folder / 'recording.yaml'), where)
        own_head = folder / info.head
        head_name = str(own_head.resolve()) if own_head.is_file() else info.head
        head = load_head(head_name)
        audio = _find_audio(folder)
        _check_audio(audio, info, head)
        left, right = find_images(folder, 'left'), find_images(folder, 'right')
        _check_images(folder, info, head, left, right)
        return cls(folder, info, head_name, head, audio, left, right)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def has_right(self) -> bool:
        """Whether there is a right camera's image for every left one."""
        return self._right is not None

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return self.num_samples / self.sample_rate

    def read_audio(self, start: int, count: int) -> np.ndarray:
        """(count, microphones) float32 samples from `start` on; fewer at the end, none beyond."""
        if start < 0 or count < 0:
            raise ValueError(f'start and count must not be negative: {start}, {count}')
        if start >= self.num_samples or count == 0:
            return np.zeros((0, self.num_channels), np.float32)
        with open_sound(self._audio) as sound:
            return self.head.microphones.pick_recorded(read_samples(sound, start, count))

    def images(self) -> Iterator[tuple[int, float, np.ndarray, np.ndarray | None]]:
        """(index, time [s], left, right or None) of every image pair; images are (height, width, 3) uint8 BGR."""
        if self._left is None:
            return
        rights = iter(self._right) if self._right is not None else None
        for index, left in enumerate(self._left):
            right = None if rights is None else next(rights, None)
            if (
                rights is not None and right is None
            ):  # the right video ends a few images earlier than its header said
                return
            yield index, self.video_start_s + index / self.frame_rate, left, right


class RecordingWriter:
    """Writes a recording folder; a context manager. Sound and images may come in any order and in pieces.

    head_file, when given, is copied into the folder as `head.yaml`, so that the recording explains itself (`info.head` must then say so).
    image_format: 'mp4' (small, lossy) or 'png' (folders, lossless).
    """

    def __init__(self, folder, info: RecordingInfo, head_file=None, image_format: str = 'mp4'):
        self.folder, self._info, self._format = Path(folder), info, image_format
        self._sound: soundfile.SoundFile | None = None
        self._images: dict[str, ImageWriter] = {}
        try:
            _clear(self.folder)
            content = {key: value for key, value in asdict(info).items() if value is not None}
            (self.folder / 'recording.yaml').write_text(
                yaml.safe_dump(content, sort_keys=False), encoding='utf-8'
            )
            if head_file is not None:
                shutil.copyfile(head_file, self.folder / 'head.yaml')
        except OSError as error:
            raise UserError(
                f'cannot write the recording {self.folder}: {error.strerror}'
            ) from error

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def write_audio(self, samples: np.ndarray) -> None:
        """Append (samples, channels) sound in [-1, 1]; stored with 16 bits."""
        if self._sound is None:
            self._sound = soundfile.SoundFile(
                str(self.folder / 'audio.flac'),
                'w',
                self._info.sample_rate,
                samples.shape[1],
                'PCM_16',
            )
        self._sound.write(samples)

    def write_images(self, left: np.ndarray, right: np.ndarray | None = None) -> None:
        """Append one image, or one pair, (height, width, 3) uint8 BGR."""
        for side, image in (('left', left), ('right', right)):
            if image is None:
                continue
            if side not in self._images:
                path = self.folder / (f'{side}.mp4' if self._format == 'mp4' else side)
                self._images[side] = ImageWriter(path, image.shape[1::-1], self._info.frame_rate)
            self._images[side].write(image)

    def write_truth(self, truth: TruthTable) -> None:
        """Write (replace) `truth.csv`."""
        truth.write(self.folder / 'truth.csv')

    def close(self) -> None:
        """Finish all files."""
        for writer in ([self._sound] if self._sound else []) + list(self._images.values()):
            writer.close()


def _clear(folder: Path) -> None:
    """Make the folder, or empty it of an older recording; refuse one with anything else in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / 'recording.yaml').is_file():
        raise UserError(f'{folder} is not empty and not a recording: name another folder')
    videos = [f'{side}{suffix}' for side in ('left', 'right') for suffix in VIDEOS]
    for name in ('audio.flac', 'audio.wav', *videos, 'truth.csv', 'head.yaml'):
        (folder / name).unlink(missing_ok=True)
    for side in ('left', 'right'):
        for image in (folder / side).glob('[0-9]*.png'):
            image.unlink()
        if (folder / side).is_dir():
            (folder / side).rmdir()


def _find_audio(folder: Path) -> Path:
    found = [folder / name for name in ('audio.flac', 'audio.wav') if (folder / name).is_file()]
    if len(found) != 1:
        raise UserError(
            f'{folder} holds {"both audio.flac and audio.wav: remove one" if found else "neither audio.flac nor audio.wav"}'
        )
    return found[0]


def _check_audio(audio: Path, info: RecordingInfo, head: HeadProfile) -> None:
    with open_sound(audio) as sound:
        rate, channels = sound.samplerate, sound.channels
    if rate != info.sample_rate:
        raise UserError(
            f'{audio} has {rate} Hz, recording.yaml says sample_rate: {info.sample_rate}'
        )
    if head.microphones is None:
        raise UserError(
            f'the head profile {head.name} has no microphones, {audio} has {channels} channels: name the right head'
        )
    head.microphones.require_recorded(channels, audio)


def _check_images(
    folder: Path,
    info: RecordingInfo,
    head: HeadProfile,
    left: ImageSequence | None,
    right: ImageSequence | None,
) -> None:
    if left is None and right is None:
        if info.frame_rate is not None and info.video_start is not None:
            raise UserError(
                f'{folder} holds no images, recording.yaml speaks of them (frame_rate, video_start): '
                'put left.mp4 or left/000000.png, ... there, or delete these two keys for sound alone'
            )
        return
    if left is None:
        raise UserError(f'{folder} holds images of the right camera but none of the left')
    if info.frame_rate is None or info.video_start is None:
        missing = [key for key in ('frame_rate', 'video_start') if getattr(info, key) is None]
        raise UserError(
            f'{folder / "recording.yaml"}: {are_missing(missing)} (the recording has images)'
        )
    if head.camera is None:
        raise UserError(
            f'{folder} holds images, the head profile {head.name} has no camera: name the right head'
        )
    if right is not None and head.camera.baseline == 0:
        raise UserError(
            f'{folder} holds images of two cameras, the head profile {head.name} has one (baseline 0)'
        )
    for images in filter(None, (left, right)):
        if images.size != (head.camera.width, head.camera.height):
            raise UserError(
                f'{images.path} has {images.size[0]}x{images.size[1]} images, the head profile {head.name} says '
                f'{head.camera.width}x{head.camera.height}'
            )
    if right is not None:
        _check_pair(folder, left, right)


def _check_pair(folder: Path, left: ImageSequence, right: ImageSequence) -> None:
    """Refuse sides of different length. The counts in the headers of videos are often estimates: where they disagree, decoding decides."""
    allowed = MISCOUNTED if left.is_video and right.is_video else 0
    if abs(right.length - left.length) <= allowed:
        return
    for images in (left, right):
        images.count_decodable()
    if abs(right.length - left.length) > allowed:
        shorter = min((left, right), key=lambda images: images.length)
        reason = (
            f'; {shorter.path.name} is cut short, its header says {shorter.claimed_length}'
            if shorter.claimed_length - shorter.length > MISCOUNTED
            else ''
        )
        raise UserError(
            f'{folder}: {left.length} left images but {right.length} right ones{reason}'
        )
