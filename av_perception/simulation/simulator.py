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
from av_perception.robot_head import HeadProfile
from av_perception.simulation.assets import PHOTOGRAPHS, VOICES, ensure_assets
from av_perception.simulation.conversation import DrySpeech, load_voice, plan_turns, utter
from av_perception.simulation.cutout import load_appearance
from av_perception.simulation.rendering import StereoRenderer
from av_perception.simulation.room_audio import (
    MovingSource,
    block_times,
    finish_sound,
    render_room,
)
from av_perception.simulation.scene import Scene

LOWEST_VIDEO_PSNR_DB = 35.0
FACE_DEPTH_M = 0.08  # of the face's surface before the head centre, as with people: the vision's default allows for it
CHECKED_EVERY = 20  # images between two whose coding is checked

Progress = Callable[[float, str], None]


def simulate(
    scene: Scene, folder, seed: int | None = None, progress: Progress | None = None
) -> Recording:
    """Render a scene into the recording folder `folder` (an older recording there is replaced).

    seed: replaces the scene's; the same scene and seed give the same samples and images. progress(fraction, text): called as work proceeds.
    Images go into mp4 files unless decoding them gives less than 35 dB PSNR; then they are stored as PNG. Raises UserError.
    """
    report = progress or (lambda fraction, text: None)
    seed = scene.seed if seed is None else seed
    head = scene.load_head()
    ensure_assets(lambda f, text: report(0.05 * f, text), _assets_of(scene))
    speech = _speak(scene, head.microphones.sample_rate, seed)
    sound = _render_sound(
        scene, head, speech, seed, lambda f: report(0.05 + 0.45 * f, 'rendering the sound')
    )
    images = _Images(scene, head, speech, seed) if head.camera else None
    frame_rate = head.camera.frame_rate if images else DEFAULT_FRAME_RATE
    time_s = np.arange(int(np.floor(scene.duration * frame_rate))) / frame_rate
    for image_format in ('mp4', 'png'):
        with RecordingWriter(
            folder, *_description(scene, head, seed), image_format=image_format
        ) as writer:
            writer.write_audio(sound)
            text = (
                'drawing the images'
                if image_format == 'mp4'
                else 'drawing the images again, without loss'
            )
            visible, kept = _write_images(
                writer, images, time_s, lambda f, text=text: report(0.5 + 0.49 * f, text)
            )
            writer.write_truth(
                _truth(scene, speech, time_s, visible, head.microphones.sample_rate)
            )
        recording = Recording.open(folder)
        if image_format == 'png' or _coding_quality(recording, kept) >= LOWEST_VIDEO_PSNR_DB:
            break
    report(1.0, 'done')
    return recording


def _assets_of(scene: Scene) -> tuple[str, ...]:
    named = [name for talker in scene.talkers for name in (talker.voice, talker.photo)]
    return tuple(dict.fromkeys(name for name in named if name in PHOTOGRAPHS or name in VOICES))


def _speak(scene: Scene, sample_rate: int, seed: int) -> list[DrySpeech]:
    """What every talker utters, in the order of the scene."""
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
    head: HeadProfile,
    speech: list[DrySpeech],
    seed: int,
    progress: Callable[[float], None],
) -> np.ndarray:
    sample_rate = head.microphones.sample_rate
    base = np.array(scene.room.head_position)
    microphones = head.microphones.base_from_array.apply(head.microphones.positions) + base
    times = block_times(len(speech[0].samples), sample_rate)
    sources = [
        MovingSource(s.samples, talker.positions(times) + base)
        for talker, s in zip(scene.talkers, speech)
    ]
    clean = render_room(scene.room, microphones, sources, sample_rate, progress)
    active = np.any([s.active for s in speech], axis=0)
    return finish_sound(clean, active, scene.room.snr_db, np.random.default_rng([seed, 4]))


def _description(scene: Scene, head: HeadProfile, seed: int) -> tuple[RecordingInfo, str | None]:
    """(recording.yaml, head file to copy): a head given as a file travels with the recording."""
    own_file = scene.head if Path(scene.head).suffix == '.yaml' else None
    video = {'frame_rate': head.camera.frame_rate, 'video_start': 0.0} if head.camera else {}
    info = RecordingInfo(
        'head.yaml' if own_file else scene.head,
        head.microphones.sample_rate,
        0.0,
        origin={'scene': scene.name, 'seed': seed, 'duration': scene.duration},
        **video,
    )
    return info, own_file


@dataclass(frozen=True)
class _Pair:
    """One image pair as drawn, kept to check how the video codes it."""

    index: int
    left: np.ndarray


class _Images:
    """Draws the scene's image pairs."""

    def __init__(self, scene: Scene, head: HeadProfile, speech: list[DrySpeech], seed: int):
        self._talkers, self._turns = scene.talkers, [s.turns for s in speech]
        self._appearances = [load_appearance(talker) for talker in scene.talkers]
        self._optical_from_base = head.camera.base_from_optical.inverse()
        camera = np.array(scene.room.head_position) + head.camera.base_from_optical.translation
        wall = _distance_to_wall(
            camera, head.camera.base_from_optical.rotation[:, 2], np.array(scene.room.size)
        )
        self._renderer = StereoRenderer(head.camera, wall, camera[2], seed)

    def draw(self, index: int, time_s: float):
        """The stereo pair at a time."""
        positions = np.array([talker.positions(time_s) for talker in self._talkers])
        people = [a.at(time_s, turns) for a, turns in zip(self._appearances, self._turns)]
        return self._renderer.render(
            index, people, face_surfaces(self._optical_from_base.apply(positions))
        )


def face_surfaces(centers: np.ndarray, depth_m: float | np.ndarray = FACE_DEPTH_M) -> np.ndarray:
    """(people, 3) points [m] where the camera's rays to the head centres meet the faces, depth_m, one for all or (people,), before the
    centres: that is what a camera can see of a head."""
    return centers * (
        1.0 - np.expand_dims(depth_m, -1) / np.linalg.norm(centers, axis=-1, keepdims=True)
    )


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
) -> tuple[np.ndarray, list[_Pair]]:
    """((frames, talkers) bool visible, kept pairs); nothing is visible to a head without a camera."""
    visible, kept = [], []
    for index, time in enumerate(time_s if images else ()):
        pair = images.draw(index, time)
        writer.write_images(pair.left, pair.right)
        visible.append(pair.visible)
        if index % CHECKED_EVERY == 0:
            kept.append(_Pair(index, pair.left))
        progress((index + 1) / len(time_s))
    return np.array(visible, bool), kept


def _truth(
    scene: Scene,
    speech: list[DrySpeech],
    time_s: np.ndarray,
    visible: np.ndarray,
    sample_rate: int,
) -> TruthTable:
    frames, people = len(time_s), len(scene.talkers)
    positions = np.stack([talker.positions(time_s) for talker in scene.talkers], axis=1)
    sample = np.minimum((time_s * sample_rate).round().astype(int), len(speech[0].active) - 1)
    speaking = np.stack([s.active[sample] for s in speech], axis=1)
    visible = visible if visible.size else np.zeros((frames, people), bool)
    return TruthTable(
        np.repeat(time_s, people),
        np.tile([talker.id for talker in scene.talkers], frames),
        positions.reshape(-1, 3),
        speaking.ravel(),
        visible.ravel(),
    )


def _coding_quality(recording: Recording, kept: list[_Pair]) -> float:
    """Lowest PSNR [dB] of the stored left images against the kept ones; infinite when there are none."""
    drawn = {pair.index: pair.left for pair in kept}
    quality = [
        cv2.PSNR(left, drawn[index]) for index, _, left, _ in recording.images() if index in drawn
    ]
    return min(quality, default=np.inf)
