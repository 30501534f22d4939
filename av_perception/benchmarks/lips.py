# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether lips pass their own gate: on planted mouths they have to, on photographs they must not.

Eight faces and eight voices that are nobody's here, four in a scene; the whole suite finds out
who speaks when and alone, cuts out the mouths and learns, as `av-perception train lips` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2

from av_perception.dvae.speech_prior import load_prior
from av_perception.errors import UserError
from av_perception.lips.examples import LipExample
from av_perception.pipelines.full import OfflinePipeline, Result
from av_perception.pipelines.lip_recordings import examples_of
from av_perception.simulation.cache import scene_recording
from av_perception.simulation.lip_scenes import Face, known_faces, lip_scenes, still_of
from av_perception.training.lips import TrainedLips, train_lips
from av_perception.vision.face_detector import FaceDetectorConfig, make_face_detector

PLANTED = 'planted'
PHOTOGRAPHS = 'photographs'
_EVERY = 7  # file of the speech is a voice, far apart in the alphabet
_FIRST = 3  # of the files: features were chosen on the voices from 0 on

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class LipResult:
    """mouths: PLANTED or PHOTOGRAPHS; seconds: of speech learnt from; gains: by person."""

    mouths: str
    seconds: float
    gains: dict[str, float]
    gain: float
    passes: bool


def measure(mouths: str, data: Path, work: Path, report: Report) -> LipResult:
    """Render, track, learn, each left out once.

    Parameters
    ----------
    mouths
        PLANTED: drawn, they show the voice; PHOTOGRAPHS: those of the photographs.
    data
        Folder with clips of faces (av_grid) and speech.
    work
        Where stills of the clips are put.
    report
        Told of the progress.

    Raises
    ------
    UserError
        When the data are not there.
    """
    faces, voices = people(data, work)
    examples: list[LipExample] = []
    scenes = lip_scenes(faces, voices, mouths == PLANTED)
    for number, scene in enumerate(scenes):
        told = partial(_tell, report, number / len(scenes), 1 / len(scenes), scene.name)
        recording = scene_recording(scene, scene.name, None, partial(_render, told))
        found, _ = examples_of(recording, scene.name, partial(_run, told))
        examples += found
    trained: TrainedLips = train_lips(examples, load_prior('vae'))
    seconds = sum(example.duration_s for example in examples)
    return LipResult(mouths, seconds, trained.gains, trained.gain, trained.passes)


def _render(told: Report, done: float, text: str) -> None:
    told(0.5 * done, text)


def _run(told: Report, pipeline: OfflinePipeline) -> list[Result]:
    return pipeline.run(lambda done: told(0.5 + 0.5 * done, 'tracking'))


def _tell(report: Report, begun: float, part: float, name: str, done: float, text: str) -> None:
    report(begun + part * done, f'{name} {text}')


def people(data: Path, work: Path) -> tuple[list[Face], list[str]]:
    """Faces, and as many voices. Raises UserError when the data are not there."""
    clips = sorted((data / 'av_grid').glob('*.mpg'))
    speech = sorted((data / 'speech' / 'librispeech_train').glob('*.flac'))
    faces = known_faces()
    if not clips or len(speech) < _FIRST + _EVERY * (len(faces) + len(clips)):
        raise UserError(f'{data} has no av_grid or no speech: set AV_PERCEPTION_DATA')
    detector = make_face_detector(FaceDetectorConfig())
    for clip in clips:
        still = still_of(clip, (0.0, 0.0, 8.0, 8.0), work)
        found = detector.detect(cv2.imread(still.photo))
        left, top, width, height = (float(length) for length in found.boxes[0])
        faces.append(replace(still, box=(left, top, width, height)))
    voices = [str(path) for path in speech[_FIRST::_EVERY][: len(faces)]]
    return faces, voices
