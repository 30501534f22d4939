# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images from camera devices or video files through OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.files import opencv_name
from av_perception.geometry.time import seconds
from av_perception.robot_head import CameraGeometry


class VideoCaptures:
    """One or two OpenCV captures that are read together.

    They are open from construction until `close`, and again after `open`.

    Parameters
    ----------
    left, right
        Names of the devices or files; right: '' for one camera.
    camera
        Whose image size the captures must have.
    side_by_side
        One capture whose images hold the left camera's in their left half and the right one's in
        their right half.

    Attributes
    ----------
    counters
        'undecodable': images (pairs) that did not decode; 'missed': those that a device left out
        or delivered too late.
    has_right
        Whether there are two images at a time.
    frame_rate
        [Hz] of the captures, or of the camera where they do not tell.

    Raises
    ------
    UserError
        When a capture cannot be read or its image size is not the profile's.
    """

    kind = ''  # what a capture is called in messages
    advice = ''  # what to do about one that cannot be read

    def __init__(self, left: str, right: str, camera: CameraGeometry, side_by_side: bool = False):
        if side_by_side and right:
            raise UserError(
                f"side by side, one {self.kind} gives both images: leave 'right' empty"
            )
        self._camera = camera
        self._names = [name for name in (left, right) if name]
        self._side_by_side = side_by_side
        self._width = camera.width * (2 if side_by_side else 1)
        self.counters = {'undecodable': 0, 'missed': 0}
        # A capture must not be released while another thread reads it.
        self._lock = threading.Lock()
        self._captures: list[cv2.VideoCapture] = []
        self.open()
        self.has_right = side_by_side or len(self._captures) == 2
        self.frame_rate = self._captures[0].get(cv2.CAP_PROP_FPS) or camera.frame_rate

    def open(self) -> None:
        """Open what `close` has released. Raises UserError; then nothing stays open."""
        if self._captures:
            return
        opened: list[cv2.VideoCapture] = []
        try:
            for name in self._names:
                self._open(name, opened)
        except UserError:
            for capture in opened:
                capture.release()
            raise
        self._captures = opened

    def close(self) -> None:
        """Release the devices or files; a reading that goes on elsewhere ends."""
        with self._lock:
            captures = self._captures
            self._captures = []
            for capture in captures:
                capture.release()

    def _read(
        self, now_ns: Callable[[], int]
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray | None]]:
        """Read until a capture ends or is closed.

        Yields (index, now_ns() right after the grabs, left, right or None). What does not decode
        is left out, but counts.
        """
        captures = self._captures
        index = 0
        while True:
            with self._lock:
                is_open = captures and self._captures is captures
                if not is_open or not all(capture.grab() for capture in captures):
                    return
                grabbed_ns = now_ns()  # before decoding, which takes its time
                decoded = [capture.retrieve() for capture in captures]
            if all(succeeded for succeeded, _ in decoded):
                left, right = self._sides([image for _, image in decoded])
                yield index, grabbed_ns, left, right
            else:
                self.counters['undecodable'] += 1
            index += 1

    def _sides(self, images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Left and right, or None, of what the captures gave."""
        if self._side_by_side:
            return images[0][:, : self._camera.width], images[0][:, self._camera.width :]
        return images[0], images[1] if self.has_right else None

    def _open(self, name: str, opened: list[cv2.VideoCapture]) -> None:
        """Open and check one capture, which joins `opened` first. Raises UserError."""
        # OpenCV's pages about absent devices would hide our one line.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        capture = cv2.VideoCapture(int(name) if name.isdigit() else opencv_name(name))
        opened.append(capture)
        self._prepare(capture)
        readable, image = capture.read() if capture.isOpened() else (False, None)
        if not readable or image is None:
            raise UserError(f"cannot read the {self.kind} '{name}': {self.advice}")
        if image.shape[:2] != (self._camera.height, self._width):
            both = ' for two side by side' if self._side_by_side else ''
            raise UserError(
                f"the {self.kind} '{name}' gives {image.shape[1]}x{image.shape[0]} images, the "
                f'head profile says {self._width}x{self._camera.height}{both}: choose the right '
                'head'
            )

    def _prepare(self, capture: cv2.VideoCapture) -> None:
        """Make settings before the first image."""


class VideoFiles(VideoCaptures):
    """A left and, with a stereo head, a right video: the same reading interface as a recording."""

    kind = 'video file'
    advice = 'is it there, and a video that OpenCV decodes?'
    video_start_s = 0.0

    def images(self) -> Iterator[tuple[int, float, np.ndarray, np.ndarray | None]]:
        """Read from the beginning until one of the videos ends.

        Yields
        ------
        index, time_s, left, right
            Number of the image, its time [s], and (height, width, 3) uint8 BGR images; right:
            None with one camera.
        """
        for capture in self._captures:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        for index, _, left, right in self._read(lambda: 0):
            yield index, index / self.frame_rate, left, right


class CameraDevices(VideoCaptures):
    """One or two cameras. The pair is grabbed back to back and shares a stamp."""

    kind = 'camera'
    advice = 'is it plugged in, is its number or /dev path right, and no other program using it?'

    def images(
        self, now_ns: Callable[[], int]
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray | None]]:
        """Read until `close`.

        Parameters
        ----------
        now_ns
            Reads the clock of the stamps [ns].

        Yields
        ------
        index, stamp_ns, left, right
            Number of the image, its stamp, and (height, width, 3) uint8 BGR images; right: None
            with one camera.

        Raises
        ------
        UserError
            When a camera stops delivering.
        """
        last: tuple[int, int] | None = None
        for index, stamp_ns, left, right in self._read(now_ns):
            if last is not None:
                periods = round(seconds(stamp_ns - last[1]) * self._camera.frame_rate)
                self.counters['missed'] += max(0, periods - (index - last[0]))
            last = (index, stamp_ns)
            yield index, stamp_ns, left, right
        if self._captures:
            raise UserError(
                'the camera stopped delivering images: check its cable and whether another '
                'program uses it'
            )

    def _prepare(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._camera.height)
        capture.set(cv2.CAP_PROP_FPS, self._camera.frame_rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
