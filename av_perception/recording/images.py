# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The images of a recording.

For each camera one video file, or a folder of `000000.png`, `000001.png`, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.files import MAX_IMAGE_BYTES, check_image, opencv_name, read_within

VIDEOS = ('.mp4', '.mkv', '.avi', '.mov', '.m4v', '.webm', '.mpg')
# Images that a video may end earlier than its header says: the number there is often an estimate.
MISCOUNTED = 5
_MP4V = int.from_bytes(b'mp4v', 'little')  # the four characters of the codec


class ImageSequence:
    """Images of one camera in order.

    Parameters
    ----------
    path
        A video, or a folder of numbered PNG files.

    Attributes
    ----------
    length
        Number of images.
    claimed_length
        What a video's header says of it.
    size
        (width, height) [px].
    is_video
        Whether `path` is one.
    rate
        [Hz] that a video's header says, 0 of a folder.

    Raises
    ------
    UserError
        When it is neither, or not readable.
    """

    def __init__(self, path: Path):
        self.path = path
        self.is_video = not path.is_dir()
        self._files: list[Path] = []  # of a folder
        if self.is_video:
            self.length, width, height, self.rate = _probe_video(path)
        else:
            self.rate = 0.0
            self._files = _numbered_images(path)
            self.length = len(self._files)
            height, width = read_image(self._files[0]).shape[:2]
        self.claimed_length = self.length
        self.size = (width, height)

    def count_decodable(self) -> None:
        """Set `length` to the images that can be decoded, whatever the video's header claims.

        It takes about as long as reading them.
        """
        if self.is_video:
            self.length = _count_frames(self.path)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Decode (height, width, 3) uint8 BGR images one by one.

        Raises UserError at an image that cannot be decoded or has another size.
        """
        decoded: Iterable[np.ndarray] = map(read_image, self._files)
        if self.is_video:
            decoded = _decode_video(self.path, self.length)
        for index, image in enumerate(decoded):
            size = image.shape[1::-1]
            if size != self.size:
                raise UserError(
                    f'{self.path}: image {index} is {_size_text(size)}, the first one '
                    f'{_size_text(self.size)}'
                )
            yield image


def find_images(folder: Path, side: str) -> ImageSequence | None:
    """Find the images of one camera.

    Parameters
    ----------
    folder
        Of the recording.
    side
        'left' or 'right'.

    Returns
    -------
    ImageSequence or None
        None when there are no images of that camera.

    Raises
    ------
    UserError
        When there are two kinds of them, or only something that is not read.
    """
    entries = [entry for entry in folder.iterdir() if entry.stem.lower() == side]
    entries.sort(key=lambda entry: (entry.is_dir(), entry.name))
    readable = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in VIDEOS]
    if len(readable) > 1:
        names = ' and '.join(entry.name + '/' * entry.is_dir() for entry in readable)
        raise UserError(f'{folder} holds both {names}: remove one of them')
    if entries and not readable:
        raise UserError(
            f'{entries[0]} is not used: images are read from a video ({", ".join(VIDEOS)}) named '
            f'{side}, or a folder {side}/ of 000000.png, ...; convert it, or rename it if it is '
            'something else'
        )
    return ImageSequence(readable[0]) if readable else None


class ImageWriter:
    """Writes one camera's images.

    Parameters
    ----------
    path
        Ending in .mp4 for a video; any other path for a folder of lossless PNG.
    size
        (width, height) [px].
    frame_rate
        [Hz] of a video.

    Raises
    ------
    UserError
        When the video cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], frame_rate: float):
        self._path = path
        self._size = size
        self._count = 0
        self._video: cv2.VideoWriter | None = None
        if path.suffix != '.mp4':
            path.mkdir(parents=True, exist_ok=True)
            return
        self._video = cv2.VideoWriter(opencv_name(path), _MP4V, frame_rate, size)
        if not self._video.isOpened():
            raise UserError(
                f'cannot write the video {path}: OpenCV has no mp4v encoder here, or the folder '
                'is not writable'
            )

    def write(self, image: np.ndarray) -> None:
        """Append one (height, width, 3) uint8 BGR image."""
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(
                f'an image of shape {image.shape} in a sequence of {_size_text(self._size)}'
            )
        if self._video is not None:
            self._video.write(image)
        elif not cv2.imwrite(opencv_name(self._path / f'{self._count:06d}.png'), image):
            raise UserError(f'cannot write images to {self._path}')
        self._count += 1

    def close(self) -> None:
        """Finish the file. Raises UserError where the disk was full: OpenCV says nothing of it."""
        if self._video is None:
            return
        self._video.release()
        self._video = None
        if self._count and _header_frames(self._path) < self._count - MISCOUNTED:
            raise UserError(f'cannot finish the video {self._path}: is there room on the disk?')


def _numbered_images(folder: Path) -> list[Path]:
    files = sorted(folder.glob('*.png'))
    if not files:
        raise UserError(
            f'{folder} holds no 000000.png: images are read from 000000.png, 000001.png, ...'
        )
    for index, file in enumerate(files):
        if file.name != f'{index:06d}.png':
            raise UserError(
                f'{folder}: expected {index:06d}.png, found {file.name}; number the images from '
                '000000.png without a gap'
            )
    return files


def read_image(path: Path) -> np.ndarray:
    """Read a (height, width, 3) uint8 BGR image. Raises UserError."""
    try:
        content = read_within(path, MAX_IMAGE_BYTES)
        check_image(content)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, cv2.error):  # an empty file, a size that no image has
        image = None
    if image is None:
        raise UserError(f'{path} is not a readable image: make it again')
    return image


def _probe_video(path: Path) -> tuple[int, int, int, float]:
    """Read number of images, width and height [px], and rate [Hz] from the file's header."""
    capture = cv2.VideoCapture(opencv_name(path))
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    rate = float(capture.get(cv2.CAP_PROP_FPS)) if capture.isOpened() else 0.0
    readable, image = capture.read()
    capture.release()
    if length <= 0 or not readable or image is None:
        raise UserError(
            f'{path} is not a readable video (cut short, or of an unknown format): make it again '
            'or give a folder of images'
        )
    return length, image.shape[1], image.shape[0], rate


def _header_frames(path: Path) -> int:
    """Read how many images a video says that it has; 0 of one that was not finished."""
    capture = cv2.VideoCapture(opencv_name(path))
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return length


def _count_frames(path: Path) -> int:
    capture = cv2.VideoCapture(opencv_name(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def _decode_video(path: Path, length: int) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(opencv_name(path))
    try:
        for index in range(length):
            readable, image = capture.read()
            if not readable and length - index <= MISCOUNTED:
                return
            if not readable:
                raise UserError(
                    f'{path} is cut short: image {index} of {length} cannot be decoded'
                )
            yield image
    finally:
        capture.release()


def _size_text(size: tuple[int, ...]) -> str:
    return f'{size[0]}x{size[1]}'
