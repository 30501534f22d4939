# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Trackers compared on recorded sequences: detections and truth as MOT-challenge text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from av_perception.benchmarks.comparison import TRACKERS, BoxSpace, scene_length
from av_perception.benchmarks.tracking import TrackerResult, run_tracker
from av_perception.errors import UserError
from av_perception.evaluation.mot import MotSequence
from av_perception.geometry.boxes import areas, box_overlap
from av_perception.pipelines.mot_tracking import (
    CONFIGS,
    guess_boxes,
    image_of,
)
from av_perception.robot_head.profile import CameraGeometry, HeadProfile
from av_perception.simulation.box_scenes import BoxScene
from av_perception.tracking.state_space.image_plane import ImagePlane

_FOUND = 0.5  # overlap of a detection with whom it shows, as in the challenge
_RATES = (0.01, 0.99)  # of detection; the peers take its logarithms
_LEAST_CLUTTER = 0.01  # false detections a frame; the peers divide by it


@dataclass(frozen=True)
class BoxSequence:
    """A recorded sequence."""

    #: of its folder
    name: str
    #: detections, truth, and how many frames there are
    scene: BoxScene
    #: a camera made up for the image, see `image_of`
    camera: CameraGeometry


def read_sequences(folders: Sequence[Path]) -> list[BoxSequence]:
    """Read sequences in the layout of the challenge, or of `BoxScene.write`.

    Parameters
    ----------
    folders
        Each with det/det.txt and gt/gt.txt, or det.txt and gt.txt; a seqinfo.ini may be beside.

    Returns
    -------
    list of BoxSequence
        In the same order.

    Raises
    ------
    UserError
        A file is missing or cannot be used.
    """
    return [_read(Path(folder)) for folder in folders]


def measure_sequences(sequences: Sequence[BoxSequence]) -> Iterator[TrackerResult]:
    """Run every tracker on the boxes of every sequence.

    Parameters
    ----------
    sequences
        From `read_sequences`.

    Yields
    ------
    TrackerResult
        One per sequence and tracker.
    """
    for sequence in sequences:
        space = SequenceSpace(sequence)
        frames = scene_length(sequence.scene)
        minutes = frames / sequence.camera.frame_rate / 60
        for name in TRACKERS:
            yield run_tracker(space, name, sequence.scene, minutes, sequence.name)


class SequenceSpace(BoxSpace):
    """Boxes of a recorded sequence.

    The peers' constant process noise is that of ImagePlane for boxes of the median size; they are
    told the rates of missing and false detections, which the truth tells.
    """

    def __init__(self, sequence: BoxSequence):
        detections = sequence.scene.detections
        self._config = CONFIGS[guess_boxes(detections)]
        self._camera = sequence.camera
        head = HeadProfile('image plane', camera=sequence.camera)
        self._plane = ImagePlane(self._config.plane, head)
        size = float(np.sqrt(np.median(areas(detections.box)))) if len(detections) else 1.0
        scale = size / self._config.plane.object_size
        self.model = self._model(scale, *detector_rates(sequence.scene))


def detector_rates(scene: BoxScene) -> tuple[float, float]:
    """Count what a detector found.

    Parameters
    ----------
    scene
        Detections and truth.

    Returns
    -------
    found
        Share in (0, 1) of the true boxes that a detection overlaps by half.
    clutter
        Mean number of detections in a frame that overlap nobody by half.
    """
    frames = scene_length(scene)
    found = 0
    false = 0
    rows = zip(scene.detections.frames(frames), scene.truth.frames(frames))
    for detected, true in rows:
        overlap = box_overlap(scene.detections.box[detected], scene.truth.box[true])
        found += int((overlap > _FOUND).any(0).sum())
        false += int((~(overlap > _FOUND).any(1)).sum())
    share = found / max(len(scene.truth), 1)
    return float(np.clip(share, *_RATES)), max(false / frames, _LEAST_CLUTTER)


def _read(folder: Path) -> BoxSequence:
    """Read one folder. Raises UserError."""
    found = MotSequence.read(_file(folder, 'det'), _file(folder, 'gt'))
    kept = found.detections.take((found.detections.box[:, 2:] > 0).all(1))
    scene = BoxScene(found.truth, kept, replace(found.info, length=found.last_frame))
    return BoxSequence(folder.resolve().name, scene, image_of(found.info, kept))


def _file(folder: Path, kind: str) -> Path:
    """Find det.txt or gt.txt of a sequence. Raises UserError."""
    places = (folder / kind / f'{kind}.txt', folder / f'{kind}.txt')
    for place in places:
        if place.is_file():
            return place
    raise UserError(
        f'{folder} is no sequence: it has neither {kind}/{kind}.txt nor {kind}.txt '
        '(the layout of the MOT challenge)'
    )
