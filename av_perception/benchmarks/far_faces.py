# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How faces of each size are found in a stream of images, and what is found where nobody is.

People stand or walk slowly before a wall; each is drawn so that the face has a known place and
width. The faces are those of clips or of a photograph that no scene of the simulation shows. They
are dressed and lit anew in each stream, and the sensor is noisy in two of three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from av_perception.benchmarks.dressed_people import Light, draw_clothes, dress
from av_perception.errors import UserError
from av_perception.geometry.boxes import box_overlap, centers
from av_perception.recording.images import read_image
from av_perception.robot_head.profile import CameraGeometry
from av_perception.simulation.background import paint_wall
from av_perception.simulation.cutout import FACE_WIDTH_M, Cutout, cut_out
from av_perception.simulation.rendering import PeopleRenderer
from av_perception.vision.face_decoding import FaceDetections
from av_perception.vision.face_detector import (
    CenterFaceDetector,
    FaceDetectorConfig,
    network_input_size,
)
from av_perception.vision.face_search import FaceSearch

PEOPLE = 4  # side by side in an image
IMAGES = 16  # of a stream
SETTLED = 6  # the image from which on a face is to be known: every fifth is looked at as a whole
EYE_HEIGHT_M = 1.4
RATE = 25.0  # [Hz]
_NOISES = (0.0, 2.0, 4.0)  # standard deviations of the sensor noise [gray levels]
_SPEED_M_S = 0.3  # standard deviation, sideways
_SAME = 0.25  # intersection over union of a face with the planted one
_EVERY = 25  # one of so many images of a clip
_PICTURES = ('.mpg', '.mp4', '.avi', '.mov', '.jpg', '.png')


@dataclass(frozen=True)
class Person:
    """Somebody to draw."""

    #: the person at true scale
    view: Cutout
    #: (5, 2) landmarks from the center of the face, in widths of the face
    landmarks: np.ndarray
    #: height of the face in widths
    height: float


@dataclass(frozen=True)
class FarAccuracy:
    """Faces of one width with one way of looking."""

    #: width of the faces [px]
    face_px: float
    #: images from one look at the whole image to the next
    every: int
    #: people times images of which the rates are
    count: int
    #: share in [0, 1] of them whose face was found, from the sixth image on
    recall: float
    #: share in [0, 1] of the faces that were found that are somebody's
    precision: float
    #: images until a person was found: median and 90 % within
    first_image: tuple[float, float]
    #: error of the center, RMS of both axes [px]
    center_px: float
    #: error of the width, RMS, as a share of the width
    width_error: float
    #: mean distance of the landmarks, as a share of the width
    landmark_error: float


def read_people(paths: Sequence[Path]) -> list[Person]:
    """Cut people out of clips and photographs.

    Parameters
    ----------
    paths
        Files, or folders of them.

    Returns
    -------
    list of Person
        All faces of a photograph, three images of a clip.

    Raises
    ------
    UserError
        When there are fewer than PEOPLE.
    """
    people = []
    for image, box, landmarks in faces_in(paths):
        view = cut_out([image], tuple(box.tolist()), 'a picture of people')[0]
        people.append(Person(view, (landmarks - centers(box)) / box[2], box[3] / box[2]))
    if len(people) < PEOPLE:
        raise UserError(
            f'{len(people)} faces in {" ".join(map(str, paths))}, {PEOPLE} are needed: name '
            'photographs, clips or folders of them by --people'
        )
    return people


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in _PICTURES)
    return [path]


def faces_in(paths: Sequence[Path]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Find the faces of clips and photographs in all their pixels.

    Parameters
    ----------
    paths
        Files, or folders of them.

    Yields
    ------
    image, box, landmarks : np.ndarray
        (height, width, 3) uint8 BGR, (4,) and (5, 2) [px]: each face of a photograph, and of three
        images of a clip.
    """
    for file in (file for path in paths for file in _files(path)):
        is_photograph = file.suffix.lower() in ('.jpg', '.png')
        for image in [read_image(file)] if is_photograph else _images_of_clip(file):
            size = network_input_size((image.shape[1], image.shape[0]))
            detector = CenterFaceDetector(FaceDetectorConfig(input_size=size, score_threshold=0.6))
            found = detector.detect(image)
            for box, landmarks in zip(found.boxes, found.landmarks):
                yield image, box, landmarks


def _images_of_clip(file: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(file))
    images = []
    while (frame := capture.read())[0]:
        images.append(frame[1])
    capture.release()
    return images[5::_EVERY]


@dataclass(frozen=True)
class StreamKind:
    """What streams of images have in common."""

    #: takes the images
    camera: CameraGeometry
    #: of whom some are drawn
    people: Sequence[Person]
    #: mean width of the faces [px of the image]
    face_px: float


class Stream:
    """Images of PEOPLE people whose faces are of about one width.

    Parameters
    ----------
    kind
        Camera, people and width.
    random
        Draws people, clothes, light, places, speeds, wall and noise.

    Attributes
    ----------
    widths
        (PEOPLE,) of the faces [px].
    heights
        (PEOPLE,) of the faces [px].
    """

    def __init__(self, kind: StreamKind, random: np.random.Generator):
        camera = kind.camera
        self._camera = camera
        self._random = random
        chosen = random.permutation(len(kind.people))[:PEOPLE]
        self._people = [kind.people[k] for k in chosen]
        self._views = [dress(person.view, draw_clothes(random)) for person in self._people]
        self.widths = kind.face_px * random.uniform(0.96, 1.04, PEOPLE)
        self.heights = self.widths * [person.height for person in self._people]
        place = (random.permutation(PEOPLE) + 0.5) / PEOPLE
        u = camera.width * (0.06 + 0.88 * place) + random.uniform(-20, 20, PEOPLE)
        self._start = np.column_stack([u, camera.height * random.uniform(0.15, 0.7, PEOPLE)])
        self._speed_px = _SPEED_M_S * self.widths / FACE_WIDTH_M * random.normal(size=PEOPLE)
        depth_m = camera.focal[0] * FACE_WIDTH_M / self.widths
        self._depth_m = depth_m
        wall_m = depth_m.max() + random.uniform(0.3, 3.0)
        scale = camera.focal[0] / wall_m
        seed = int(random.integers(1000))
        size = (camera.width, camera.height)
        self._wall = paint_wall(*size, scale, camera.center[1], EYE_HEIGHT_M, seed)
        self._renderer = PeopleRenderer(camera, seed)
        self._light = Light.draw(random)
        self._noise = float(random.choice(_NOISES))

    def draw(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw an image.

        Parameters
        ----------
        index
            Of the image.

        Returns
        -------
        image
            (height, width, 3) uint8 BGR.
        boxes
            (PEOPLE, 4) of the faces [px].
        landmarks
            (PEOPLE, 5, 2) [px].
        """
        middle = self._start.copy()
        middle[:, 0] += self._speed_px * index / RATE
        rays = (middle - np.array(self._camera.center)) / np.array(self._camera.focal)
        positions = np.column_stack([rays * self._depth_m[:, None], self._depth_m])
        drawn = self._renderer.draw(index, self._views, positions, [self._wall, self._wall])
        image = self._light.on(drawn.left)
        if self._noise:
            noisy = image + self._random.normal(0, self._noise, image.shape)
            image = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        size = np.column_stack([self.widths, self.heights])
        landmarks = np.array([person.landmarks for person in self._people])
        landmarks = middle[:, None] + landmarks * self.widths[:, None, None]
        return image, np.hstack([middle - size / 2, size]), landmarks


class _Tally:
    """Faces of one way of looking against the truth."""

    def __init__(self) -> None:
        self.is_found: list[np.ndarray] = []
        self.first: list[float] = []
        self.faces = 0
        self.false = 0
        self.center_px: list[float] = []
        self.width: list[float] = []
        self.landmarks: list[float] = []

    def add_stream(self, found: list[tuple[FaceDetections, np.ndarray, np.ndarray]]) -> None:
        """Take the faces of a stream's images, with the true boxes and landmarks."""
        is_found = np.array([self._add(*image) for image in found])
        self.is_found.extend(is_found[SETTLED - 1 :])
        never = np.full(PEOPLE, np.inf)
        self.first += np.where(is_found.any(axis=0), is_found.argmax(axis=0) + 1, never).tolist()

    def _add(self, faces: FaceDetections, boxes: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(PEOPLE,) who was found."""
        overlap = box_overlap(boxes, faces.boxes)
        self.faces += len(faces)
        self.false += int((overlap.max(axis=0, initial=0.0) < _SAME).sum())
        is_found = overlap.max(axis=1, initial=0.0) >= _SAME
        for person in np.flatnonzero(is_found):
            face = int(overlap[person].argmax())
            width = boxes[person, 2]
            offset = centers(faces.boxes[face]) - centers(boxes[person])
            self.center_px += offset.tolist()
            self.width.append(faces.boxes[face, 2] / width - 1)
            away = np.linalg.norm(faces.landmarks[face] - landmarks[person], axis=1)
            self.landmarks.append(float(away.mean()) / width)
        return is_found

    def accuracy(self, face_px: float, every: int) -> FarAccuracy:
        """Rate all faces so far."""
        first = np.percentile(self.first, (50, 90), method='lower')
        return FarAccuracy(
            face_px,
            every,
            count=sum(map(len, self.is_found)),
            recall=float(np.mean(self.is_found)),
            precision=1.0 - self.false / self.faces if self.faces else float('nan'),
            first_image=(float(first[0]), float(first[1])),
            center_px=_rms(self.center_px),
            width_error=_rms(self.width),
            landmark_error=float(np.mean(self.landmarks)) if self.landmarks else float('nan'),
        )


def _rms(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else float('nan')


def measure_far_faces(
    kind: StreamKind,
    streams: int,
    searches: dict[int, Callable[[], FaceSearch]],
) -> list[FarAccuracy]:
    """Measure ways of looking on the same images of faces of one width.

    Parameters
    ----------
    kind
        What is drawn.
    streams
        How many streams of IMAGES images, of PEOPLE people each.
    searches
        By the images from one look at the whole image to the next: makes what looks.

    Returns
    -------
    list of FarAccuracy
        One for each of `searches`.
    """
    random = np.random.default_rng([7, round(10 * kind.face_px)])
    tallies = {every: _Tally() for every in searches}
    for _ in range(streams):
        stream = Stream(kind, random)
        images = [stream.draw(index) for index in range(IMAGES)]
        for every, make in searches.items():
            search = make()
            tallies[every].add_stream(
                [(search.detect(image), boxes, landmarks) for image, boxes, landmarks in images]
            )
    return [tallies[every].accuracy(kind.face_px, every) for every in searches]


def false_faces(
    pictures: Sequence[np.ndarray], camera: CameraGeometry, search: FaceSearch
) -> tuple[int, int]:
    """Count faces in pictures without people.

    Parameters
    ----------
    pictures
        (height, width, 3) uint8 BGR, scaled to the camera's size; each is moved by a pixel from
        image to image.
    camera
        Whose size the images have.
    search
        Looks.

    Returns
    -------
    faces, images : int
        How many.
    """
    faces = 0
    for picture in pictures:
        scaled = cv2.resize(picture, (camera.width + IMAGES, camera.height))
        for index in range(IMAGES):
            faces += len(search.detect(scaled[:, index : index + camera.width]))
    return faces, IMAGES * len(pictures)
