# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A scene: a room, a head in it, and talkers who move and speak.

It is read from a YAML file (`config/scenes/`).
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyroomacoustics

from av_perception.config import config_from_mapping, read_yaml
from av_perception.errors import UserError
from av_perception.files import is_file
from av_perception.paths import resolve_resource
from av_perception.robot_head import HeadProfile, load_head
from av_perception.simulation.assets import PHOTOGRAPHS, VOICES
from av_perception.simulation.crossings import walked
from av_perception.simulation.scene_noise import GENERATED, SceneNoise

WALL_MARGIN = 0.2  # a head center keeps this distance [m] from the walls
HEAD_MARGIN = 0.4  # and this one from the robot's head


@dataclass(frozen=True)
class RoomConfig:
    """A room with the shape of a box, and the head in it. Raises ValueError."""

    #: [m] length (x), width (y), height (z), 1..50 each
    size: tuple[float, float, float] = (6.0, 5.0, 2.8)
    #: [s] time in which echoes fall by 60 dB, 0..1.5; 0 for no echo
    t60: float = 0.3
    #: [m] the head's base frame in the room; its axes are parallel to the room's
    head_position: tuple[float, float, float] = (1.0, 2.5, 1.4)
    #: [dB] mean speech at the microphones over their own white noise, -20..100
    snr_db: float = 30.0

    def __post_init__(self):
        if not all(1.0 <= length <= 50.0 for length in self.size):
            raise ValueError(f'size must lie in 1..50 m, not {self.size}')
        if not all(0.1 <= p <= length - 0.1 for p, length in zip(self.head_position, self.size)):
            raise ValueError(
                f'head_position {self.head_position} is not inside the room of {self.size}'
            )
        if not 0.0 <= self.t60 <= 1.5:
            raise ValueError(f't60 must lie in 0..1.5 s, not {self.t60}')
        if not -20.0 <= self.snr_db <= 100.0:
            raise ValueError(f'snr_db must lie in -20..100 dB, not {self.snr_db}')
        if self.t60 > 0:
            self.absorption()

    def absorption(self) -> tuple[float, int]:
        """Invert Sabine's formula.

        Returns
        -------
        tuple
            Energy absorption of the walls, and the image order that reaches t60.

        Raises
        ------
        ValueError
            When t60 is too short for the room.
        """
        if self.t60 == 0:
            return 1.0, 0
        try:
            return pyroomacoustics.inverse_sabine(self.t60, self.size)
        except ValueError as error:
            raise ValueError(
                f't60 of {self.t60} s is too short for a room of {self.size} m: '
                '0 gives no echo at all'
            ) from error


@dataclass(frozen=True)
class ConversationConfig:
    """How turns are drawn for talkers without `turns` of their own. Raises ValueError."""

    #: [s] shortest and longest turn, from 0.3
    turn: tuple[float, float] = (1.5, 4.0)
    #: share of the turns' time that belongs to two at once, 0..0.25
    overlap: float = 0.15
    #: [s] mean silence between turns that do not overlap, 0..30
    pause: float = 0.5

    def __post_init__(self):
        if not 0.3 <= self.turn[0] <= self.turn[1]:
            raise ValueError(
                f'turn must be shortest, longest with 0.3 <= shortest <= longest, not {self.turn}'
            )
        if not 0.0 <= self.overlap <= 0.25:
            raise ValueError(f'overlap must lie in 0..0.25, not {self.overlap}')
        if not 0.0 <= self.pause <= 30.0:
            raise ValueError(f'pause must lie in 0..30 s, not {self.pause}')


@dataclass(frozen=True)
class TalkerConfig:
    """One talker. Raises ValueError."""

    #: number of the person in the truth, not negative
    id: int
    #: rows of time [s], x, y, z [m] of the head center in the head's base frame, joined smoothly,
    #: held before the first and after the last
    waypoints: tuple[tuple[float, float, float, float], ...]
    #: name of an asset, or a sound file
    voice: str = ''
    #: name of an asset, or an image file
    photo: str = ''
    #: video file of a talking face, in place of voice and photo
    clip: str = ''
    #: [px] x, y, width, height of the face in `photo` or `clip`, from 8 on; assets know theirs
    face: tuple[float, float, float, float] | None = None
    #: draw a mouth over that of the photo that shows what the voice does
    mouth: bool = False
    #: [s] (start, end) of turns in order, none: drawn
    turns: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self):
        if self.id < 0:
            raise ValueError(f'id must not be negative: {self.id}')
        self._check_waypoints()
        self._check_files()
        ends = np.ravel(self.turns if self.turns is not None else ())
        if (np.diff(ends) < 0).any() or (ends < 0).any() or (ends[::2] == ends[1::2]).any():
            raise ValueError(
                f'turns must be [start, end] pairs in order, without overlap: {self.turns}'
            )

    def _check_waypoints(self) -> None:
        table = np.array(self.waypoints, float)
        if not len(table) or not np.isfinite(table).all():
            raise ValueError(
                'waypoints needs at least one row of four finite numbers: time, x, y, z'
            )
        if (np.diff(table[:, 0]) <= 0).any():
            raise ValueError(f'the times of the waypoints must grow: {table[:, 0].tolist()}')

    def _check_files(self) -> None:
        if bool(self.clip) == bool(self.voice):
            raise ValueError('a talker needs either a voice or a clip')
        if self.clip and self.photo:
            raise ValueError('a talker with a clip has no photo')
        if self.clip and self.mouth:
            raise ValueError('a talker with a clip has a mouth that moves already')
        if (self.clip or self.photo not in (*PHOTOGRAPHS, '')) and self.face is None:
            raise ValueError(
                'face: [x, y, width, height] in pixels is missing for a photo or clip of your own'
            )
        if self.face is not None and min(self.face[2:]) < 8:
            raise ValueError(f'face must be at least 8 pixels wide and high: {self.face}')

    def positions(self, time_s) -> np.ndarray:
        """Interpolate the waypoints by monotone cubics, so that a stop is a stop.

        Parameters
        ----------
        time_s
            (...) [s]

        Returns
        -------
        np.ndarray
            (..., 3) [m] head center in the head's base frame.
        """
        return walked(self.waypoints, time_s)


@dataclass(frozen=True)
class Scene:
    """A scene. Raises ValueError."""

    #: [s] 0.2..7200
    duration: float
    #: at least one, with different ids
    talkers: tuple[TalkerConfig, ...]
    #: how the recording is called
    name: str = 'scene'
    #: of turns and noise, not negative
    seed: int = 0
    #: name or file of a head profile
    head: str = 'simulated'
    #: the room around the head
    room: RoomConfig = RoomConfig()
    #: how turns are drawn
    conversation: ConversationConfig = ConversationConfig()
    #: in the room, beside the white noise of the microphones (`snr_db` of the room)
    noise: tuple[SceneNoise, ...] = ()

    def __post_init__(self):
        if not 0.2 <= self.duration <= 7200:
            raise ValueError(f'duration must lie in 0.2..7200 s, not {self.duration}')
        if self.seed < 0:
            raise ValueError(f'seed must not be negative: {self.seed}')
        if not self.talkers:
            raise ValueError('a scene needs at least one talker')
        ids = [talker.id for talker in self.talkers]
        if len(set(ids)) < len(ids):
            raise ValueError(f'the ids of the talkers repeat: {ids}')
        time = np.arange(0.0, self.duration, 0.05)
        for talker in self.talkers:
            self._check_path(f'talker {talker.id}', time, talker.positions(time))
        for noise in self.noise:
            if noise.position is not None:
                self._check_path('noise', np.zeros(1), np.array([noise.position]))

    def _check_path(self, name: str, time: np.ndarray, path: np.ndarray) -> None:
        in_room = path + np.array(self.room.head_position)
        before = in_room < WALL_MARGIN
        behind = in_room > np.array(self.room.size) - WALL_MARGIN
        outside = (before | behind).any(axis=1)
        if outside.any():
            raise ValueError(
                f'{name} is outside the room (or nearer than {WALL_MARGIN} m '
                f'to a wall) at {time[outside.argmax()]:.1f} s'
            )
        close = np.linalg.norm(path, axis=1) < HEAD_MARGIN
        if close.any():
            raise ValueError(
                f'{name} is nearer than {HEAD_MARGIN} m to the head '
                f'at {time[close.argmax()]:.1f} s'
            )

    def with_duration(self, duration: float) -> Scene:
        """Make the same scene longer or shorter.

        Parameters
        ----------
        duration
            [s]

        Raises
        ------
        UserError
            For a senseless duration.
        """
        try:
            return dataclasses.replace(self, duration=duration)
        except ValueError as error:
            raise UserError(str(error)) from error

    def load_head(self) -> HeadProfile:
        """Load the head profile.

        Raises
        ------
        UserError
            When it lacks microphones, its camera's images are raw, which are not drawn, or a
            talker lacks the photograph that the camera needs.
        """
        head = load_head(self.head)
        if head.microphones is None:
            raise UserError(f'the head profile {head.name} has no microphones: a scene needs them')
        if head.camera is not None and head.camera.calibration:
            raise UserError(
                f'the head profile {head.name} has raw cameras: for a scene, give focal, center '
                'and baseline in place of calibration'
            )
        for talker in self.talkers:
            if head.camera is not None and not (talker.photo or talker.clip):
                raise UserError(
                    f'talker {talker.id} needs a photo or a clip: '
                    f'the head {head.name} has a camera'
                )
        return head


def load_scene(name_or_path) -> Scene:
    """Load a scene.

    Files named in it may be relative to it and may use environment variables
    (`$AV_PERCEPTION_DATA/...`).

    Parameters
    ----------
    name_or_path
        A shipped scene (`three_talkers`), or a YAML file.

    Raises
    ------
    UserError
        When it is malformed, or a file is missing.
    """
    path = resolve_resource(str(name_or_path), 'scenes')
    where = f'scene {path}'
    scene = config_from_mapping(Scene, {'name': path.stem, **read_yaml(path)}, where)
    head_beside = path.parent / scene.head
    talkers = tuple(
        _with_files(talker, path.parent, f'{where}: talker {talker.id}')
        for talker in scene.talkers
    )
    noise = tuple(
        dataclasses.replace(
            n, sound=_resolve(n.sound, path.parent, GENERATED, f'{where}: sound of noise')
        )
        for n in scene.noise
    )
    head = str(head_beside) if is_file(head_beside) else scene.head
    return dataclasses.replace(scene, talkers=talkers, noise=noise, head=head)


def _with_files(talker: TalkerConfig, folder: Path, where: str) -> TalkerConfig:
    """Resolve every file of a talker to an absolute path; names of assets stay."""
    return dataclasses.replace(
        talker,
        voice=_resolve(talker.voice, folder, tuple(VOICES), f'{where}: voice'),
        photo=_resolve(talker.photo, folder, tuple(PHOTOGRAPHS), f'{where}: photo'),
        clip=_resolve(talker.clip, folder, (), f'{where}: clip'),
    )


def _resolve(name: str, folder: Path, known: tuple[str, ...], where: str) -> str:
    """Absolute path of a file named relative to the folder, or a known asset's name itself."""
    if not name or name in known:
        return name
    for variable in re.findall(r'\$\{?(\w+)', name):
        if variable not in os.environ:
            raise UserError(
                f'{where} needs the environment variable {variable}: '
                f'set it to the folder that holds {name.split("/", 1)[-1]}'
            )
    try:
        path = folder / Path(os.path.expandvars(name)).expanduser()
    except RuntimeError as error:  # of a user that there is not
        raise UserError(f'{where}: no file {name!r}: {error}') from error
    if is_file(path):
        return str(path)
    hint = f'; known names: {", ".join(known)}' if known else ''
    raise UserError(f'{where}: no file {str(path)!r}{hint}')
