# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The images of a recording: one video file or a folder of `000000.png`, `000001.png`, ... for each camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError

VIDEOS = ('.mp4', '.mkv', '.avi', '.mov', '.m4v', '.webm', '.mpg')
MISCOUNTED = 5  # images that a video may end earlier than its header says: the number there is often an estimate


class ImageSequence:
    """Images of one camera in order. `length` images of `size` (width, height) pixels; claimed_length: what a video's header says."""

    def __init__(self, path: Path):
        self.path = path
        if path.is_dir():
            self._files = _numbered_images(path)
            self.length = len(self._files)
            height, width = _read_image(self._files[0]).shape[:2]
        else:
            self._files = None
            self.length, width, height = _probe_video(path)
        self.is_video = self._files is None
        self.claimed_length = self.length
        self.size = (width, height)

    def count_decodable(self) -> None:
        """Set `length` to the images that can be decoded, whatever the video's header claims: takes about as long as reading them."""
        if self.is_video:
            self.length = _count_frames(self.path)

    def __iter__(self) -> Iterator[np.ndarray]:
        """(height, width, 3) uint8 BGR images. Raises UserError at an image that cannot be decoded or has another size."""
        decoded = (
            map(_read_image, self._files)
            if self._files is not None
            else _decode_video(self.path, self.length)
        )
        for index, image in enumerate(decoded):
            if image.shape[1::-1] != self.size:
                raise UserError(
                    f'{self.path}: image {index} is {_size(image.shape[1::-1])}, the first one {_size(self.size)}'
                )
            yield image


def find_images(folder: Path, side: str) -> ImageSequence | None:
    """The images of the camera `side` (left, right) of a recording folder, None without any. Raises UserError for two kinds of them."""
    entries = [entry for entry in folder.iterdir() if entry.stem.lower() == side]
    entries.sort(key=lambda entry: (entry.is_dir(), entry.name))
    found = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in VIDEOS]
    if len(found) > 1:
        names = ' and '.join(entry.name + '/' * entry.is_dir() for entry in found)
        raise UserError(f'{folder} holds both {names}: remove one of them')
    if entries and not found:
        raise UserError(
            f'{entries[0]} is not used: images are read from a video ({", ".join(VIDEOS)}) named {side}, '
            f'or a folder {side}/ of 000000.png, ...; convert it, or rename it if it is something else'
        )
    return ImageSequence(found[0]) if found else None


class ImageWriter:
    """Writes one camera's images: `path` ending in .mp4 gives a video, any other path a folder of lossless PNG."""

    def __init__(self, path: Path, size: tuple[int, int], frame_rate: float):
        self._path, self._size, self._count, self._video = path, size, 0, None
        if path.suffix == '.mp4':
            self._video = cv2.VideoWriter(
                str(path), cv2.VideoWriter_fourcc(*'mp4v'), frame_rate, size
            )
            if not self._video.isOpened():
                raise UserError(
                    f'cannot write the video {path}: OpenCV has no mp4v encoder here, or the folder is not writable'
                )
        else:
            path.mkdir(parents=True, exist_ok=True)

    def write(self, image: np.ndarray) -> None:
        """Append one (height, width, 3) uint8 BGR image."""
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(
                f'an image of shape {image.shape} in a sequence of {_size(self._size)}'
            )
        if self._video is not None:
            self._video.write(image)
        elif not cv2.imwrite(str(self._path / f'{self._count:06d}.png'), image):
            raise UserError(f'cannot write images to {self._path}')
        self._count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.release()


def _numbered_images(folder: Path) -> list[Path]:
    files = sorted(folder.glob('*.png'))
    if not files:
        raise UserError(
            f'{folder} holds no 000000.png: images are read from 000000.png, 000001.png, ...'
        )
    for index, file in enumerate(files):
        if file.name != f'{index:06d}.png':
            raise UserError(
                f'{folder}: expected {index:06d}.png, found {file.name}; number the images from 000000.png without a gap'
            )
    return files


def _read_image(path: Path) -> np.ndarray:
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # a size that no image has
        image = None
    if image is None:
        raise UserError(f'{path} is not a readable image: make it again')
    return image


def _probe_video(path: Path) -> tuple[int, int, int]:
    """(number of frames, width, height) by the file's own header."""
    capture = cv2.VideoCapture(str(path))
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    readable, image = capture.read()
    capture.release()
    if length <= 0 or not readable:
        raise UserError(
            f'{path} is not a readable video (cut short, or of an unknown format): make it again or give a folder of images'
        )
    return length, image.shape[1], image.shape[0]


def _count_frames(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def _decode_video(path: Path, length: int) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
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


def _size(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
