# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A scene becomes a recording: sound of the room, stereo images, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from av_perception.recording import Recording, RecordingInfo, RecordingWriter, TruthTable
from av_perception.recording.recording import DEFAULT_FRAME_RATE
from av_perception.recording.source_sounds import SourceSounds, write_sources
from av_perception.robot_head import CameraGeometry, HeadProfile, MicrophoneArray
from av_perception.simulation.assets import PHOTOGRAPHS, VOICES, ensure_assets
from av_perception.simulation.conversation import DrySpeech, load_voice, plan_turns, utter
from av_perception.simulation.cutout import load_appearance
from av_perception.simulation.noise import render_noises
from av_perception.simulation.planted_mouth import PlantedMouth
from av_perception.simulation.rendering import StereoPair, StereoRenderer
from av_perception.simulation.room_audio import (
    MovingSource,
    block_times,
    finish_sound,
    render_images,
    render_room,
)
from av_perception.simulation.scene import Scene

LOWEST_VIDEO_PSNR_DB = 35.0
# Of the face's surface before the head center, as with people: the vision's default allows for it.
FACE_DEPTH_M = 0.08
CHECKED_EVERY = 20  # images between two whose coding is checked

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class _Performance:
    """What a scene is made of before it is written.

    info, head_file: of the recording; sound: (N, channels) at the microphones; parts: of the
    sound, None where nobody asks for them; speech: per talker; images: None without a camera;
    time_s: (frames,) of the images or, without, of the truth; sample_rate [Hz].
    """

    scene: Scene
    info: RecordingInfo
    head_file: str | None
    sound: np.ndarray
    parts: SourceSounds | None
    speech: list[DrySpeech]
    images: _Images | None
    time_s: np.ndarray
    sample_rate: int


def simulate(
    scene: Scene,
    folder,
    seed: int | None = None,
    progress: Progress | None = None,
    keep_parts: bool = False,
) -> Recording:
    """Render a scene into a recording folder; an older recording there is replaced.

    The same scene and seed give the same samples and images. Images go into mp4 files unless
    decoding them gives less than LOWEST_VIDEO_PSNR_DB; then they are stored as PNG.

    Parameters
    ----------
    scene
        What is rendered.
    folder
        Where to.
    seed
        In place of the scene's.
    progress
        Called with the fraction that is done and a text.
    keep_parts
        Whether to write what the mixture, which stays the same, is made of beside it.

    Raises
    ------
    UserError
        For a head or assets that a scene cannot have.
    """
    report = progress or (lambda fraction, text: None)
    performance = _prepare(scene, scene.seed if seed is None else seed, keep_parts, report)
    recording, quality_db = _write(
        performance, folder, 'mp4', lambda f: report(0.5 + 0.49 * f, 'drawing the images')
    )
    if quality_db < LOWEST_VIDEO_PSNR_DB:
        text = 'drawing the images again, without loss'
        recording, _ = _write(performance, folder, 'png', lambda f: report(0.5 + 0.49 * f, text))
    report(1.0, 'done')
    return recording


def _prepare(scene: Scene, seed: int, keep_parts: bool, report: Progress) -> _Performance:
    """Fetch what the scene needs, and render its sound."""
    head = scene.load_head()
    ensure_assets(lambda f, text: report(0.05 * f, text), assets_of(scene))
    text = 'rendering the sound'
    return _perform(scene, head, seed, keep_parts, lambda f: report(0.05 + 0.45 * f, text))


def simulate_sound(
    scene: Scene, progress: Callable[[float], None] = lambda fraction: None
) -> tuple[np.ndarray, SourceSounds]:
    """Render the sound of a scene alone, as `simulate` does.

    Parameters
    ----------
    scene
        What is rendered.
    progress
        Called with the fraction that is done.

    Returns
    -------
    samples
        (N, channels) float32 at the microphones.
    parts
        What they are made of.

    Raises
    ------
    UserError
        For a head or voices that a scene cannot have.
    """
    microphones = _microphones_of(scene.load_head())
    voices = [name for name in assets_of(scene) if name in VOICES]
    ensure_assets(names=tuple(voices))
    speech = speak(scene, microphones.sample_rate, scene.seed)
    samples, parts = _render_sound(scene, microphones, speech, scene.seed, True, progress)
    assert parts is not None, 'they are kept'
    return samples, parts


def assets_of(scene: Scene) -> tuple[str, ...]:
    """Names of the assets that the talkers use, each once."""
    named = [name for talker in scene.talkers for name in (talker.voice, talker.photo)]
    return tuple(dict.fromkeys(name for name in named if name in PHOTOGRAPHS or name in VOICES))


def _perform(
    scene: Scene,
    head: HeadProfile,
    seed: int,
    keep_parts: bool,
    progress: Callable[[float], None],
) -> _Performance:
    """Let the talkers speak, render the sound, and prepare the drawing."""
    microphones = _microphones_of(head)
    rate = microphones.sample_rate
    speech = speak(scene, rate, seed)
    sound, parts = _render_sound(scene, microphones, speech, seed, keep_parts, progress)
    images = None
    frame_rate = DEFAULT_FRAME_RATE
    if head.camera is not None:
        images = _Images(scene, head.camera, speech, rate, seed)
        frame_rate = head.camera.frame_rate
    time_s = np.arange(int(np.floor(scene.duration * frame_rate))) / frame_rate
    info, head_file = _description(scene, head, seed)
    return _Performance(scene, info, head_file, sound, parts, speech, images, time_s, rate)


def _write(
    performance: _Performance,
    folder,
    image_format: str,
    progress: Callable[[float], None],
) -> tuple[Recording, float]:
    """Draw and write everything; the recording, and the lowest PSNR of its images [dB]."""
    info = performance.info
    with RecordingWriter(folder, info, performance.head_file, image_format=image_format) as writer:
        writer.write_audio(performance.sound)
        if performance.parts is not None:
            write_sources(folder, performance.parts, performance.sample_rate)
        visible, kept = _write_images(writer, performance.images, performance.time_s, progress)
        writer.write_truth(_truth(performance, visible))
    recording = Recording.open(folder)
    return recording, np.inf if image_format == 'png' else _coding_quality(recording, kept)


def _microphones_of(head: HeadProfile) -> MicrophoneArray:
    assert head.microphones is not None, 'Scene.load_head refuses a head without microphones'
    return head.microphones


def speak(scene: Scene, sample_rate: int, seed: int) -> list[DrySpeech]:
    """Let every talker utter their turns, in the order of the scene."""
    voices = [load_voice(talker, sample_rate) for talker in scene.talkers]
    lengths = {
        talker.id: len(voice) / sample_rate
        for talker, voice in zip(scene.talkers, voices)
        if talker.clip
    }
    turns = plan_turns(scene, seed, lengths)
    return [
        utter(voice, turns[talker.id], scene.duration, sample_rate, restart=bool(talker.clip))
        for talker, voice in zip(scene.talkers, voices)
    ]


def _render_sound(
    scene: Scene,
    microphones: MicrophoneArray,
    speech: list[DrySpeech],
    seed: int,
    keep_parts: bool,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, SourceSounds | None]:
    """(N, channels) float32 sound at the microphones, and its parts where they are kept."""
    rate = microphones.sample_rate
    base = np.array(scene.room.head_position)
    places = microphones.base_from_array.apply(microphones.positions) + base
    times = block_times(len(speech[0].samples), rate)
    sources = [
        MovingSource(said.samples, talker.positions(times) + base)
        for talker, said in zip(scene.talkers, speech)
    ]
    images: np.ndarray | None = None
    if keep_parts:
        clean, images = render_images(scene.room, places, sources, rate, progress)
    else:
        clean = render_room(scene.room, places, sources, rate, progress)
    active = np.any([said.active for said in speech], axis=0)
    dry = [said.samples for said in speech]
    noise = render_noises(scene, places, dry, rate, seed) if scene.noise else 0.0
    random = np.random.default_rng([seed, 4])
    finished = finish_sound(clean, active, scene.room.snr_db, random, noise)
    if images is None:
        return finished.samples, None
    ids = [talker.id for talker in scene.talkers]
    heard = {key: image * finished.gain for key, image in zip(ids, images)}
    return finished.samples, SourceSounds(heard, dict(zip(ids, dry)), finished.noise)


def _description(scene: Scene, head: HeadProfile, seed: int) -> tuple[RecordingInfo, str | None]:
    """(recording.yaml, head file to copy): a head given as a file travels with the recording."""
    own_file = scene.head if Path(scene.head).suffix == '.yaml' else None
    video = {'frame_rate': head.camera.frame_rate, 'video_start': 0.0} if head.camera else {}
    info = RecordingInfo(
        'head.yaml' if own_file else scene.head,
        _microphones_of(head).sample_rate,
        0.0,
        origin={'scene': scene.name, 'seed': seed, 'duration': scene.duration},
        **video,
    )
    return info, own_file


@dataclass(frozen=True)
class _DrawnImage:
    """A left image as drawn, kept to check how the video codes it."""

    index: int
    left: np.ndarray


class _Images:
    """Draws the scene's image pairs."""

    def __init__(
        self,
        scene: Scene,
        camera: CameraGeometry,
        speech: list[DrySpeech],
        sample_rate: int,
        seed: int,
    ):
        self._talkers = scene.talkers
        self._mouths = [
            PlantedMouth(said.samples, sample_rate) if talker.mouth else None
            for talker, said in zip(scene.talkers, speech)
        ]
        self._turns = [said.turns for said in speech]
        self._appearances = [load_appearance(talker) for talker in scene.talkers]
        self._optical_from_base = camera.base_from_optical.inverse()
        place = np.array(scene.room.head_position) + camera.base_from_optical.translation
        axis = camera.base_from_optical.rotation[:, 2]
        wall_m = _distance_to_wall(place, axis, np.array(scene.room.size))
        self._renderer = StereoRenderer(camera, wall_m, place[2], seed)

    def draw(self, index: int, time_s: float) -> StereoPair:
        """Draw the stereo pair of a time."""
        positions = np.array([talker.positions(time_s) for talker in self._talkers])
        views = [a.at(time_s, turns) for a, turns in zip(self._appearances, self._turns)]
        people = [
            view if mouth is None else mouth.on(view, time_s)
            for view, mouth in zip(views, self._mouths)
        ]
        faces = face_surfaces(self._optical_from_base.apply(positions))
        return self._renderer.render(index, people, faces)


def face_surfaces(centers: np.ndarray, depth_m: float | np.ndarray = FACE_DEPTH_M) -> np.ndarray:
    """Intersect the camera's rays to head centers with the faces, which are what it can see.

    Parameters
    ----------
    centers
        (people, 3) [m] in the optical frame.
    depth_m
        [m] of the faces before the centers, one for all or (people,).

    Returns
    -------
    np.ndarray
        (people, 3) [m] in the optical frame.
    """
    distance = np.linalg.norm(centers, axis=-1, keepdims=True)
    return centers * (1.0 - np.expand_dims(depth_m, -1) / distance)


def _distance_to_wall(camera: np.ndarray, axis: np.ndarray, size: np.ndarray) -> float:
    """How far the optical axis runs from the camera until it meets the room's box."""
    with np.errstate(divide='ignore', invalid='ignore'):
        reach = np.where(axis > 0, (size - camera) / axis, -camera / axis)
    return float(np.min(reach[np.abs(axis) > 1e-6]))


def _write_images(
    writer: RecordingWriter,
    images: _Images | None,
    time_s: np.ndarray,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, list[_DrawnImage]]:
    """((frames, talkers) bool visible, kept images); both empty for a head without a camera."""
    visible = []
    kept = []
    if images is not None:
        for index, time in enumerate(time_s):
            pair = images.draw(index, time)
            writer.write_images(pair.left, pair.right)
            visible.append(pair.visible)
            if index % CHECKED_EVERY == 0:
                kept.append(_DrawnImage(index, pair.left))
            progress((index + 1) / len(time_s))
    return np.array(visible, bool), kept


def _truth(performance: _Performance, visible: np.ndarray) -> TruthTable:
    """Where all talkers were and whether they spoke, at the times of the images."""
    talkers = performance.scene.talkers
    time_s = performance.time_s
    positions = np.stack([talker.positions(time_s) for talker in talkers], axis=1)
    num_samples = len(performance.speech[0].active)
    sample = (time_s * performance.sample_rate).round().astype(int)
    sample = np.minimum(sample, num_samples - 1)
    speaking = np.stack([said.active[sample] for said in performance.speech], axis=1)
    if not visible.size:
        visible = np.zeros_like(speaking)
    return TruthTable(
        np.repeat(time_s, len(talkers)),
        np.tile([talker.id for talker in talkers], len(time_s)),
        positions.reshape(-1, 3),
        speaking.ravel(),
        visible.ravel(),
    )


def _coding_quality(recording: Recording, kept: list[_DrawnImage]) -> float:
    """Lowest PSNR [dB] of the stored left images against the kept ones; infinite without any."""
    drawn = {image.index: image.left for image in kept}
    quality = [
        cv2.PSNR(left, drawn[index]) for index, _, left, _ in recording.images() if index in drawn
    ]
    return min(quality, default=np.inf)
