"""Images from camera devices or video files through OpenCV: the same reading interface as a recording."""

from __future__ import annotations

import cv2

from av_perception.errors import UserError
from av_perception.heads import CameraGeometry


class VideoFiles:
    """A left and, with a stereo head, a right video. Raises UserError when one cannot be read or its size is not the profile's."""

    kind = 'video file'
    video_start_s = 0.0

    def __init__(self, left: str, right: str, camera: CameraGeometry):
        self._camera = camera
        self._captures = [self._open(name) for name in (left, right) if name]
        self.has_right = len(self._captures) == 2
        self.frame_rate = self._captures[0].get(cv2.CAP_PROP_FPS) or camera.frame_rate

    def images(self):
        """Yields (index, time_s, left, right or None) until one of the videos ends."""
        index = 0
        while all(capture.grab() for capture in self._captures):
            frames = [capture.retrieve()[1] for capture in self._captures]
            yield index, index / self.frame_rate, frames[0], frames[1] if self.has_right else None
            index += 1

    def _open(self, name: str) -> cv2.VideoCapture:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)   # its pages about absent devices hide our one line
        capture = cv2.VideoCapture(int(name) if name.isdigit() else name)
        self._prepare(capture)
        readable, image = capture.read() if capture.isOpened() else (False, None)
        if not readable:
            raise UserError(f"cannot read the {self.kind} '{name}': {self._advice()}")
        if image.shape[:2] != (self._camera.height, self._camera.width):
            raise UserError(f"the {self.kind} '{name}' gives {image.shape[1]}x{image.shape[0]} images, the head profile says "
                            f'{self._camera.width}x{self._camera.height}: choose the right head')
        self._rewind(capture)
        return capture

    def _prepare(self, capture) -> None:
        """Nothing to set for a file."""

    def _rewind(self, capture) -> None:
        capture.set(cv2.CAP_PROP_POS_FRAMES, 0)

    def _advice(self) -> str:
        return 'is it there, and a video that OpenCV decodes?'


class CameraDevices(VideoFiles):
    """One or two cameras. The pair is grabbed back to back and shares a stamp."""

    kind = 'camera'

    def _prepare(self, capture) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._camera.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._camera.height)
        capture.set(cv2.CAP_PROP_FPS, self._camera.frame_rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _rewind(self, capture) -> None:
        """A live camera has no beginning."""

    def images(self):
        """As for files, but a live camera that ends has failed. Raises UserError."""
        yield from super().images()
        raise UserError('the camera stopped to deliver images: check its cable and whether another program uses it')

    def _advice(self) -> str:
        return 'is it plugged in, is its number or /dev path right, and no other program using it?'
