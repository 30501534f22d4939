# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All faults that the graph is to stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from av_perception.errors import UserError
from av_perception.ros.faults.command_faults import COMMAND_FAULTS
from av_perception.ros.faults.fault import Fault
from av_perception.ros.faults.image_faults import CALIBRATION_FAULTS, IMAGE_FAULTS
from av_perception.ros.faults.pose_faults import CLOCK_FAULTS, POSE_FAULTS
from av_perception.ros.faults.process_faults import PROCESS_FAULTS
from av_perception.ros.faults.service_faults import SERVICE_FAULTS
from av_perception.ros.faults.sound_faults import SOUND_FAULTS
from av_perception.ros.faults.stranger_faults import STRANGER_FAULTS

# What is done to the nodes that are not there by default as well.
_OF_ALL_NODES = (
    'sound-stops',
    'sound-loses-50',
    'sound-clock-behind',
    'sound-nan',
    'sound-huge',
    'sound-truncated',
    'sound-six-channels',
    'sound-twice',
    'images-stop',
    'images-truncated',
    'all-behind',
    'strange-crowd',
    'strange-tracks',
)
_OF_DEFAULT_NODES = (*SOUND_FAULTS, *IMAGE_FAULTS, *CLOCK_FAULTS, *STRANGER_FAULTS)
FAULTS: tuple[Fault, ...] = (
    *SOUND_FAULTS,
    *IMAGE_FAULTS,
    *CLOCK_FAULTS,
    *CALIBRATION_FAULTS,
    *POSE_FAULTS,
    *SERVICE_FAULTS,
    *STRANGER_FAULTS,
    *PROCESS_FAULTS,
    *(
        replace(fault, name=f'optional-{fault.name}', setup='all')
        for fault in _OF_DEFAULT_NODES
        if fault.name in _OF_ALL_NODES
    ),
    *COMMAND_FAULTS,
)
SETUP_ORDER = ('head', 'robot', 'all', 'processes', 'command')


def chosen(names: Sequence[str] | None) -> list[Fault]:
    """Choose faults by name, or by the beginning of their names; None: all.

    Those of one setup come in a row, so that they share a graph.

    Raises
    ------
    UserError
        For a name that none has.
    """
    faults = sorted(FAULTS, key=lambda fault: SETUP_ORDER.index(fault.setup))
    if names is None:
        return faults
    for name in names:
        if not any(fault.name.startswith(name) for fault in faults):
            raise UserError(f"no fault is called '{name}': --list names all")
    exact = {fault.name for fault in faults} & set(names)
    return [
        fault
        for fault in faults
        if fault.name in exact
        or any(fault.name.startswith(name) for name in names if name not in exact)
    ]
