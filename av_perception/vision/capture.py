# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images from camera devices or video files through OpenCV."""

from __future__ import annotations

import threading

import cv2

from av_perception.errors import UserError
from av_perception.robot_head import CameraGeometry


class VideoCaptures:
    """One or two OpenCV captures that are read together, open from construction until `close`, and again after `open`.

    side_by_side: one capture whose images hold the left camera's in their left half and the right one's in their right half.
    counters: 'undecodable', images (pairs) that did not decode; 'missed', those that a device left out or delivered too late.
    Raises UserError when a capture cannot be read or its image size is not the profile's.
    """

    kind = advice = ''

    def __init__(self, left: str, right: str, camera: CameraGeometry, side_by_side: bool = False):
        if side_by_side and right:
            raise UserError(
                f"side by side, one {self.kind} gives both images: leave 'right' empty"
            )
        self._camera, self._names = camera, [name for name in (left, right) if name]
        self._side_by_side = side_by_side
        self._width = camera.width * (2 if side_by_side else 1)
        self.counters = {'undecodable': 0, 'missed': 0}
        self._lock = (
            threading.Lock()
        )  # a capture must not be released while another thread reads it
        self._captures: list[cv2.VideoCapture] = []
        self.open()
        self.has_right = side_by_side or len(self._captures) == 2
        self.frame_rate = self._captures[0].get(cv2.CAP_PROP_FPS) or camera.frame_rate

    def open(self) -> None:
        """Open what `close` has released. Raises UserError; then nothing stays open."""
        if self._captures:
            return
        opened = []
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
            captures, self._captures = self._captures, []
            for capture in captures:
                capture.release()

    def _read(self, now_ns):
        """Yields (index, now_ns() right after the grabs, left, right or None) until a capture ends or `close`.

        What does not decode is left out, but counts.
        """
        captures, index = self._captures, 0
        while True:
            with self._lock:
                if (
                    not captures
                    or self._captures is not captures
                    or not all(capture.grab() for capture in captures)
                ):
                    return
                grabbed_ns = now_ns()  # before decoding, which takes its time
                frames = [capture.retrieve() for capture in captures]
            if all(decoded for decoded, _ in frames):
                yield index, grabbed_ns, *self._sides([image for _, image in frames])
            else:
                self.counters['undecodable'] += 1
            index += 1

    def _sides(self, images: list) -> tuple:
        """(left, right or None) of what the captures gave."""
        if self._side_by_side:
            return images[0][:, : self._camera.width], images[0][:, self._camera.width :]
        return images[0], images[1] if self.has_right else None

    def _open(self, name: str, opened: list) -> None:
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # its pages about absent devices hide our one line
        capture = cv2.VideoCapture(int(name) if name.isdigit() else name)
        opened.append(capture)
        self._prepare(capture)
        readable, image = capture.read() if capture.isOpened() else (False, None)
        if not readable:
            raise UserError(f"cannot read the {self.kind} '{name}': {self.advice}")
        if image.shape[:2] != (self._camera.height, self._width):
            raise UserError(
                f"the {self.kind} '{name}' gives {image.shape[1]}x{image.shape[0]} images, the head profile says "
                f'{self._width}x{self._camera.height}{" for two side by side" if self._side_by_side else ""}: choose the right head'
            )

    def _prepare(self, capture) -> None:
        """Settings before the first image."""


class VideoFiles(VideoCaptures):
    """A left and, with a stereo head, a right video: the same reading interface as a recording."""

    kind, advice = 'video file', 'is it there, and a video that OpenCV decodes?'
    video_start_s = 0.0

    def images(self):
        """Yields (index, time_s, left, right or None) from the beginning until one of the videos ends."""
        for capture in self._captures:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        for index, _, left, right in self._read(lambda: 0):
            yield index, index / self.frame_rate, left, right


class CameraDevices(VideoCaptures):
    """One or two cameras. The pair is grabbed back to back and shares a stamp."""

    kind, advice = (
        'camera',
        'is it plugged in, is its number or /dev path right, and no other program using it?',
    )

    def images(self, now_ns):
        """Yields (index, stamp_ns, left, right or None) until `close`; now_ns: reads the clock of the stamps.

        Raises UserError when a camera stops to deliver.
        """
        last = None
        for item in self._read(now_ns):
            if last is not None:
                periods = round(1e-9 * (item[1] - last[1]) * self._camera.frame_rate)
                self.counters['missed'] += max(0, periods - (item[0] - last[0]))
            last = item[:2]
            yield item
        if self._captures:
            raise UserError(
                'the camera stopped to deliver images: check its cable and whether another program uses it'
            )

    def _prepare(self, capture) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._camera.height)
        capture.set(cv2.CAP_PROP_FPS, self._camera.frame_rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
