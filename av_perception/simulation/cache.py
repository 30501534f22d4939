# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes kept between runs: a scene is rendered once, by whoever asks first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from av_perception import __version__
from av_perception.paths import cache_directory
from av_perception.recording import Recording
from av_perception.simulation import Scene, load_scene, simulate
from av_perception.simulation.room_audio import HIGHEST_ORDER, highest_order

FORMAT = 2  # raise when rendering changes, so that old renderings are not taken for new


def simulated_recording(
    scene_name: str,
    seed: int | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
) -> Recording:
    """Open the recording of a scene, rendered now if it is not in the cache.

    Other processes wait for the one that renders. The cache tells scenes apart by what is rendered
    (the scene, its head, the files it names, the seed), FORMAT and the package's version.

    Parameters
    ----------
    scene_name
        A shipped scene, or a YAML file.
    seed
        None takes the scene's own.
    progress
        Called with the fraction that is done and a text.

    Raises
    ------
    UserError
        For a malformed scene or missing assets.
    """
    return scene_recording(load_scene(scene_name), Path(scene_name).stem, seed, progress)


def scene_recording(
    scene: Scene,
    stem: str,
    seed: int | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
) -> Recording:
    """Open the recording of a scene that has no file; stem: beginning of its name in the cache.

    The other arguments, and the errors, are those of `simulated_recording`.
    """
    name = f'{stem}-{_digest(scene, seed)}'
    folder = cache_directory() / 'scenes' / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f'{name}.lock')):
        if not folder.is_dir():
            partial = folder.with_name(f'{name}.partial')
            shutil.rmtree(partial, ignore_errors=True)
            simulate(scene, partial, seed=seed, progress=progress)
            partial.rename(folder)
    return Recording.open(folder)


def _digest(scene: Scene, seed: int | None) -> str:
    """Twelve hexadecimal digits that tell renderings apart."""
    head = asdict(scene.load_head())
    content: tuple = (FORMAT, __version__, described(scene), head, _contents(scene), seed)
    # Rooms that ring no longer keep the renderings from before the order depended on it.
    order = highest_order(scene.room.t60)
    if order > HIGHEST_ORDER:
        content = (*content, order)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def described(scene: Scene) -> dict:
    """Give what the renderings of a scene depend on, without fields that change nothing."""
    found = asdict(scene)
    if not scene.noise:
        del found['noise']  # quiet rooms keep the renderings from before there was noise
    for talker in found['talkers']:
        if not talker.get('mouth'):
            talker.pop('mouth', None)  # and photographs those from before there were mouths
    return found


def _contents(scene: Scene) -> list[str]:
    """Digests of the files that talkers and noises name, and of the sound beside a clip.

    An edited voice or photograph is another scene.
    """
    named = [
        Path(name)
        for talker in scene.talkers
        for name in (talker.voice, talker.photo, talker.clip)
        if name
    ]
    named += [Path(noise.sound) for noise in scene.noise]
    files = [path for path in named if path.is_absolute()]  # the others are names of assets
    clips = [Path(talker.clip) for talker in scene.talkers if talker.clip]
    files += [clip.with_suffix(suffix) for clip in clips for suffix in ('.wav', '.flac')]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; the system frees it even when its holder dies."""
    import fcntl

    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
