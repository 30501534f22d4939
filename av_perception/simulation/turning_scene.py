# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A scene around a head that somebody turns while it plays: sound, images and truth, step by step.

Unlike `simulate`, which renders a recording, it cannot know what comes: each step of 40 ms is
rendered when the neck has moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.robot_head import CameraGeometry, HeadProfile
from av_perception.simulation.assets import ensure_assets
from av_perception.simulation.conversation import DrySpeech
from av_perception.simulation.cutout import load_appearance
from av_perception.simulation.motor_sound import MotorSound, MotorSoundConfig
from av_perception.simulation.neck import Neck, NeckConfig, base_from_head
from av_perception.simulation.panorama import Panorama
from av_perception.simulation.rendering import PeopleRenderer, StereoPair
from av_perception.simulation.room_audio import MovingSource, block_times
from av_perception.simulation.scene import Scene
from av_perception.simulation.simulator import assets_of, face_surfaces, speak
from av_perception.simulation.turning_room import TurningRoom

STEP_S = 0.04
POSES_PER_STEP = 4  # the neck's encoders are read every 10 ms
_PEAK = 1.0


@dataclass(frozen=True)
class TurningSceneConfig:
    """What is not in the scene."""

    #: what the neck can do
    neck: NeckConfig = field(default_factory=NeckConfig)
    #: how its motors sound; None: silent
    motors: MotorSoundConfig | None = field(default_factory=MotorSoundConfig)
    #: [s] how long the cameras' shutter is open
    exposure_s: float = 0.01
    #: whether images are drawn
    images: bool = True


@dataclass(frozen=True)
class JointReading:
    """The neck at one moment: angles [rad] and rates [rad/s] of pan and tilt."""

    time_s: float
    angles: tuple[float, float]
    rates: tuple[float, float]

    @property
    def base_from_head(self) -> RigidTransform:
        """Where the head is."""
        return base_from_head(*self.angles)


@dataclass(frozen=True)
class Moment:
    """What a step gives.

    Attributes
    ----------
    time_s
        [s] of the end of the step, which is that of the image.
    joints
        POSES_PER_STEP readings, the last one at `time_s`.
    sound
        (hop, channels) float32, which ends at `time_s`.
    images
        None where none are drawn.
    positions, speaking
        (talkers, 3) [m] head centers in the frame that the neck turns in, (talkers,) bool.
    """

    time_s: float
    joints: tuple[JointReading, ...]
    sound: np.ndarray
    images: StereoPair | None
    positions: np.ndarray
    speaking: np.ndarray

    @property
    def head(self) -> JointReading:
        """The neck at `time_s`."""
        return self.joints[-1]


class TurningScene:
    """Plays a scene once; `step` until `is_over`.

    Attributes
    ----------
    scene, head
        What is played, and for whom.
    speech
        Of each talker.

    Parameters
    ----------
    scene
        Its waypoints are in the frame that the neck turns in.
    config
        See `TurningSceneConfig`.
    seed
        In place of the scene's.

    Raises
    ------
    UserError
        For a head or assets that the scene cannot have.
    """

    def __init__(
        self, scene: Scene, config: TurningSceneConfig | None = None, seed: int | None = None
    ):
        config = config or TurningSceneConfig()
        self.scene = scene
        self.head = _checked_head(scene)
        seed = scene.seed if seed is None else seed
        ensure_assets(lambda fraction, text: None, assets_of(scene))
        microphones = self.head.microphones
        assert microphones is not None, 'Scene.load_head refuses a head without microphones'
        self.speech = speak(scene, microphones.sample_rate, seed)
        places = microphones.base_from_array.apply(microphones.positions)
        self._sample_rate = microphones.sample_rate
        self._room = _room(scene, places, self.speech, self._sample_rate, seed)
        self._motors: MotorSound | None = None
        if config.motors is not None:
            self._motors = MotorSound(config.motors, places, self._sample_rate, 2, seed)
        self._neck = Neck(config.neck)
        self._images: _TurningImages | None = None
        if config.images and self.head.camera is not None:
            exposure_s = config.exposure_s
            self._images = _TurningImages(scene, self.head.camera, self.speech, exposure_s, seed)
        self._index = 0

    @property
    def num_steps(self) -> int:
        """How many steps the scene has."""
        return int(round(self.scene.duration / STEP_S))

    @property
    def is_over(self) -> bool:
        """Whether all steps were made."""
        return self._index >= self.num_steps

    def step(self, pan_rad: float, tilt_rad: float) -> Moment:
        """Let 40 ms pass, in which the neck moves towards these angles."""
        start_s = self._index * STEP_S
        self._index += 1
        time_s = self._index * STEP_S
        readings = []
        rates = []
        part_s = STEP_S / POSES_PER_STEP
        for part in range(POSES_PER_STEP):
            rates.append(self._neck.advance(pan_rad, tilt_rad, part_s))
            pan, tilt = self._neck.pan, self._neck.tilt
            reading_s = start_s + (part + 1) * part_s
            angles = (pan.angle, tilt.angle)
            readings.append(JointReading(reading_s, angles, (pan.rate, tilt.rate)))
        head = readings[-1]
        sound = self._room.next(*head.angles)
        if self._motors is not None:
            sound = sound + self._motors.render(np.hstack(rates), len(sound))
        sample = min(round(time_s * self._sample_rate), len(self.speech[0].active)) - 1
        return Moment(
            time_s,
            tuple(readings),
            np.clip(sound, -_PEAK, _PEAK).astype(np.float32),
            None if self._images is None else self._images.draw(self._index, time_s, head),
            np.array([talker.positions(time_s) for talker in self.scene.talkers]),
            np.array([said.active[sample] for said in self.speech]),
        )


def _checked_head(scene: Scene) -> HeadProfile:
    head = scene.load_head()
    if head.camera is not None and abs(head.camera.frame_rate * STEP_S - 1) > 1e-6:
        raise UserError(
            f'the head {head.name} has a camera of {head.camera.frame_rate:g} images a second: '
            f'a head that turns is simulated with {1 / STEP_S:g}'
        )
    return head


def _room(
    scene: Scene, places: np.ndarray, speech: list[DrySpeech], sample_rate: int, seed: int
) -> TurningRoom:
    times = block_times(len(speech[0].samples), sample_rate)
    base = np.array(scene.room.head_position)
    sources = [
        MovingSource(said.samples, talker.positions(times) + base)
        for talker, said in zip(scene.talkers, speech)
    ]
    active = [said.active for said in speech]
    return TurningRoom(scene.room, places, sources, active, sample_rate, seed)


class _TurningImages:
    """Draws what the cameras of the turned head see."""

    def __init__(
        self,
        scene: Scene,
        camera: CameraGeometry,
        speech: list[DrySpeech],
        exposure_s: float,
        seed: int,
    ):
        self._talkers = scene.talkers
        self._turns = [said.turns for said in speech]
        self._appearances = [load_appearance(talker) for talker in scene.talkers]
        self._camera = camera
        self._exposure_s = exposure_s
        room = scene.room
        radius_m = float(np.mean(room.size[:2])) / 2
        self._panorama = Panorama(camera, radius_m, room.head_position[2])
        self._renderer = PeopleRenderer(camera, seed)

    def draw(self, index: int, time_s: float, head: JointReading) -> StereoPair:
        """Draw the stereo pair of a time."""
        optical_from_base = (head.base_from_head @ self._camera.base_from_optical).inverse()
        positions = np.array([talker.positions(time_s) for talker in self._talkers])
        people = [a.at(time_s, turns) for a, turns in zip(self._appearances, self._turns)]
        faces = face_surfaces(optical_from_base.apply(positions))
        blur_px = (
            self._camera.focal[0] * head.rates[0] * self._exposure_s,
            self._camera.focal[1] * head.rates[1] * self._exposure_s,
        )
        views = self._panorama.views(*head.angles)
        return self._renderer.draw(index, people, faces, views, blur_px)
