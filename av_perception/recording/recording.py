# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording on disk.

One folder with the sound of all microphones, the images of one or two cameras, and maybe the
truth:

    recording.yaml    head, with sound sample_rate, with images frame_rate; maybe audio_start and
                      video_start, 0 by default
    audio.flac|.wav   one channel per microphone in the head profile's order, or all channels of
                      the device, of which the profile names the microphones' (device_channels)
                      none for images alone
    left.mp4, right.mp4 (or .mkv, .avi, ...), or left/000000.png ..., right/000000.png ...
                      no `right` with one camera, neither for sound alone
    truth.csv         optional, see `tables.TruthTable`

`head` is a profile's name, an absolute path, or the path of a file in the folder. Sample n is at
`audio_start + n / sample_rate`, image k at `video_start + k / frame_rate`, in seconds on one
clock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from av_perception.config import config_from_mapping, dump_yaml, read_yaml
from av_perception.errors import UserError
from av_perception.files import is_file, is_inside
from av_perception.recording.consistency import (
    SOUND_FILES,
    check_audio,
    check_images,
    find_audio,
    has_audio,
    length_problem,
)
from av_perception.recording.images import VIDEOS, ImageSequence, ImageWriter, find_images
from av_perception.recording.recording_info import RecordingInfo
from av_perception.recording.sound_file import open_sound, read_samples, writing_sound
from av_perception.recording.source_sounds import clear_sources
from av_perception.recording.tables import TruthTable
from av_perception.robot_head import HeadProfile, MicrophoneArray, load_head

DEFAULT_FRAME_RATE = 25.0  # [Hz]
DEFAULT_SAMPLE_RATE = 16000  # [Hz], where there is no sound


class Recording:
    """A recording's folder, opened and checked; see `open`.

    Sound is read on demand, images are decoded one pair at a time.

    Attributes
    ----------
    folder
        Of the recording.
    head, head_name
        The head profile, and the name or path to load it by.
    origin
        What the maker of the recording wanted to remember.
    sample_rate, num_channels, num_samples, audio_start_s
        Of the sound: [Hz], number of microphones, length, time [s] of sample 0.
    frame_rate, num_frames, video_start_s
        Of the images: [Hz], number of images or pairs, time [s] of image 0.
    problem
        What is doubtful though it can be read, as one sentence; '' for nothing.
    truth
        A TruthTable, None without one.
    """

    def __init__(
        self,
        folder: Path,
        info: RecordingInfo,
        head_name: str,
        head: HeadProfile,
        microphones: MicrophoneArray | None,
        audio: Path | None,
        left: ImageSequence | None,
        right: ImageSequence | None,
    ):
        self.folder = folder
        self.head_name = head_name
        self.head = head
        self.origin = info.origin or {}
        self._audio = audio
        self._left = left
        self._right = right
        self._microphones = microphones
        self.sample_rate = info.sample_rate or DEFAULT_SAMPLE_RATE
        self.audio_start_s = info.audio_start
        self.num_channels = len(microphones.coordinates) if microphones else 0
        self.num_samples = 0
        if audio is not None:
            with open_sound(audio) as sound:
                self.num_samples = sound.frames
        self.frame_rate = info.frame_rate or _camera_rate(head)
        self.video_start_s = info.audio_start if info.video_start is None else info.video_start
        self.num_frames = min((images.length for images in (left, right) if images), default=0)
        self.problem = ''
        if not self.num_frames and info.frame_rate is not None:
            self.problem = (
                f'{folder} holds no images, recording.yaml speaks of them (frame_rate): '
                'put left.mp4 or left/000000.png, ... there; this is sound alone'
            )
        if self.has_sound and left is not None:
            self.problem = length_problem(left, self.frame_rate, self.duration_s)
        self.truth: TruthTable | None = None
        if (folder / 'truth.csv').exists():
            self.truth = TruthTable.read(folder / 'truth.csv')

    @classmethod
    def open(cls, folder: str | Path) -> Recording:
        """Open and check a recording.

        Parameters
        ----------
        folder
            That holds the recording.yaml.

        Returns
        -------
        Recording
            Its sound and images are still to be read.

        Raises
        ------
        UserError
            For whatever is missing or does not fit together.
        """
        folder = Path(folder)
        path = folder / 'recording.yaml'
        if not path.is_file():
            raise UserError(_no_recording(folder))
        info = config_from_mapping(RecordingInfo, read_yaml(path), str(path))
        head_name = _head_of(folder, info)
        head = load_head(head_name)
        left = find_images(folder, 'left')
        right = find_images(folder, 'right')
        audio: Path | None = None
        microphones: MicrophoneArray | None = None
        if info.sample_rate is not None or left is None or has_audio(folder):
            audio = find_audio(folder)
            microphones = check_audio(audio, info, head)
        check_images(folder, info, head, left, right)
        return cls(folder, info, head_name, head, microphones, audio, left, right)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def has_right(self) -> bool:
        """Whether there is a right camera's image for every left one."""
        return self._right is not None

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound file; without one there are images alone."""
        return self._audio is not None

    @property
    def duration_s(self) -> float:
        """Length of the sound, or of the images where there is none [s]."""
        if not self.has_sound:
            return self.num_frames / self.frame_rate
        return self.num_samples / self.sample_rate

    def read_audio(self, start: int, count: int) -> np.ndarray:
        """Read sound.

        Parameters
        ----------
        start
            First sample.
        count
            How many.

        Returns
        -------
        np.ndarray
            (count, microphones) float32 in [-1, 1]; fewer at the end, none beyond.

        Raises
        ------
        UserError
            When the file is damaged.
        """
        if start < 0 or count < 0:
            raise ValueError(f'start and count must not be negative: {start}, {count}')
        if start >= self.num_samples or count == 0:
            return np.zeros((0, self.num_channels), np.float32)
        assert self._audio is not None and self._microphones is not None  # it has samples
        with open_sound(self._audio) as sound:
            return self._microphones.pick_recorded(read_samples(sound, start, count))

    def images(self) -> Iterator[tuple[int, float, np.ndarray, np.ndarray | None]]:
        """Decode the images or pairs one by one.

        Yields
        ------
        index, time_s, left, right
            Number of the image, its time [s], and (height, width, 3) uint8 BGR images; right:
            None with one camera.

        Raises
        ------
        UserError
            When an image cannot be decoded.
        """
        if self._left is None:
            return
        rights = None if self._right is None else iter(self._right)
        for index, left in enumerate(self._left):
            right = None
            if rights is not None:
                right = next(rights, None)
                if right is None:  # its video ends a few images earlier than its header said
                    return
            yield index, self.video_start_s + index / self.frame_rate, left, right


def _no_recording(folder: Path) -> str:
    """Say what to do with something that holds no recording.yaml."""
    if not folder.exists():
        return f'there is no recording {folder}: check the path'
    if folder.is_file():
        return (
            f'{folder} is a file, a recording is a folder: put it there as audio{folder.suffix}, '
            'or left.mp4 for images, beside a recording.yaml of two lines: head, sample_rate'
        )
    return (
        f'{folder} is not a recording: it holds no recording.yaml (of two lines: head, '
        'sample_rate)'
    )


def _head_of(folder: Path, info: RecordingInfo) -> str:
    """Name the head profile, or the path of the one in the folder. Raises UserError."""
    if not (Path(info.head).is_absolute() or is_inside(info.head)):
        raise UserError(
            f'{folder / "recording.yaml"}: head {info.head!r} leads out of the folder: copy the '
            'profile into it, or give its absolute path'
        )
    own_head = folder / info.head
    return str(own_head.resolve()) if is_file(own_head) else info.head


def _camera_rate(head: HeadProfile) -> float:
    return head.camera.frame_rate if head.camera else DEFAULT_FRAME_RATE


class RecordingWriter:
    """Writes a recording's folder; a context manager.

    Sound and images may come in any order and in pieces.

    Parameters
    ----------
    folder
        Is made, or emptied of an older recording.
    info
        Becomes recording.yaml.
    head_file
        Is copied into the folder as `head.yaml`, so that the recording explains itself
        (`info.head` must then say so).
    image_format
        'mp4' (small, lossy) or 'png' (folders, lossless).

    Raises
    ------
    UserError
        When the folder cannot be written, or holds something else.
    """

    def __init__(
        self,
        folder: str | Path,
        info: RecordingInfo,
        head_file: str | Path | None = None,
        image_format: str = 'mp4',
    ):
        self.folder = Path(folder)
        self._info = info
        self._format = image_format
        self._sound: soundfile.SoundFile | None = None
        self._images: dict[str, ImageWriter] = {}
        content = {key: value for key, value in asdict(info).items() if value is not None}
        text = dump_yaml(content)
        try:
            _clear(self.folder)
            (self.folder / 'recording.yaml').write_text(text, encoding='utf-8')
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
        path = self.folder / 'audio.flac'
        with writing_sound(path):
            if self._sound is None:
                channels = samples.shape[1]
                self._sound = soundfile.SoundFile(
                    str(path), 'w', self._info.sample_rate, channels, 'PCM_16'
                )
            self._sound.write(samples)

    def write_images(self, left: np.ndarray, right: np.ndarray | None = None) -> None:
        """Append one image, or one pair, (height, width, 3) uint8 BGR."""
        self._write_image('left', left)
        if right is not None:
            self._write_image('right', right)

    def _write_image(self, side: str, image: np.ndarray) -> None:
        if side not in self._images:
            path = self.folder / (f'{side}.mp4' if self._format == 'mp4' else side)
            height, width = image.shape[:2]
            rate = self._info.frame_rate or DEFAULT_FRAME_RATE
            self._images[side] = ImageWriter(path, (width, height), rate)
        self._images[side].write(image)

    def write_truth(self, truth: TruthTable) -> None:
        """Write (replace) `truth.csv`."""
        truth.write(self.folder / 'truth.csv')

    def close(self) -> None:
        """Finish all files."""
        if self._sound is not None:
            with writing_sound(self.folder / 'audio.flac'):
                self._sound.close()
        for writer in self._images.values():
            writer.close()


def _clear(folder: Path) -> None:
    """Make the folder, or empty it of an older recording; refuse one with anything else in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / 'recording.yaml').is_file():
        raise UserError(f'{folder} is not empty and not a recording: name another folder')
    videos = [f'{side}{suffix}' for side in ('left', 'right') for suffix in VIDEOS]
    clear_sources(folder)
    for name in (*SOUND_FILES, *videos, 'truth.csv', 'head.yaml'):
        (folder / name).unlink(missing_ok=True)
    for side in ('left', 'right'):
        for image in (folder / side).glob('[0-9]*.png'):
            image.unlink()
        if (folder / side).is_dir():
            (folder / side).rmdir()
