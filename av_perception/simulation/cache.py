# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes kept between runs: a scene is rendered once, by whoever asks first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from av_perception import __version__
from av_perception.paths import cache_directory
from av_perception.recording import Recording
from av_perception.simulation import load_scene, simulate

FORMAT = 2  # raise when rendering changes, so that old renderings are not taken for new


def simulated_recording(
    scene_name: str, seed: int | None = None, progress=lambda fraction, text: None
) -> Recording:
    """The recording of a scene, rendered now if it is not in the cache; other processes wait for the one that renders.

    seed: None takes the scene's own. progress(fraction, text). Raises UserError for a malformed scene or missing assets.
    """
    scene = load_scene(scene_name)
    content = (
        FORMAT,
        __version__,
        asdict(scene),
        asdict(scene.load_head()),
        _contents(scene),
        seed,
    )
    name = f'{Path(scene_name).stem}-{hashlib.sha256(repr(content).encode()).hexdigest()[:12]}'
    folder = cache_directory() / 'scenes' / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f'{name}.lock')):
        if not folder.is_dir():
            partial = folder.with_name(f'{name}.partial')
            shutil.rmtree(partial, ignore_errors=True)
            simulate(scene, partial, seed=seed, progress=progress)
            partial.rename(folder)
    return Recording.open(folder)


def _contents(scene) -> list[str]:
    """Digests of the files that the talkers name, and of the sound beside a clip: an edited voice or photograph is another scene."""
    named = [
        Path(name)
        for talker in scene.talkers
        for name in (talker.voice, talker.photo, talker.clip)
        if name
    ]
    files = [path for path in named if path.is_absolute()]  # the others are names of assets
    files += [
        clip.with_suffix(suffix)
        for talker in scene.talkers
        if talker.clip
        for clip in [Path(talker.clip)]
        for suffix in ('.wav', '.flac')
    ]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]


@contextlib.contextmanager
def _lock(path: Path):
    """An exclusive lock between processes; the system lets go of it even when its holder dies."""
    import fcntl

    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
