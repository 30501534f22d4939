# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The camera_info files that a head profile names in place of numbers."""

from __future__ import annotations

from pathlib import Path

from av_perception.errors import UserError
from av_perception.files import is_inside
from av_perception.robot_head.camera_calibration import read_calibrations, rectified_geometry


def with_calibration(mapping: dict, folder: Path, where: str) -> dict:
    """Fill in what the camera's calibration files say of the rectified images."""
    camera = mapping.get('camera')
    if not isinstance(camera, dict) or not camera.get('calibration'):
        return mapping
    names = camera['calibration']
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not are_names or not 1 <= len(names) <= 2:
        raise UserError(
            f'{where}: camera.calibration must list the camera_info files of the left and, with '
            'two cameras, of the right one'
        )
    for name in names:
        require_inside(where, name)
    files = [str((folder / name).resolve()) for name in names]
    try:
        known = rectified_geometry(read_calibrations(files))
    except ValueError as error:
        raise UserError(f'{where}: {error}') from error
    for name in known:
        if name in camera:
            raise UserError(
                f'{where}: camera.{name} and camera.calibration both say it: remove camera.{name}'
            )
    return {**mapping, 'camera': {**camera, **known, 'calibration': files}}


def require_inside(where: str, name: str) -> None:
    """Raise UserError for a relative path that climbs out of the profile's folder."""
    if not (Path(name).is_absolute() or is_inside(name)):
        raise UserError(
            f'{where}: {name!r} leads out of its folder: put the file beside the profile, or give '
            'its absolute path'
        )
