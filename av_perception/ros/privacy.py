# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces and voices are for the user who runs the suite: others read no files, no shared memory."""

from __future__ import annotations

import os
import random
from pathlib import Path

from av_perception.errors import UserError
from av_perception.ros.bringup.access import refusal
from av_perception.ros.bringup.environment import is_closed

OTHERS = 0o077  # all rights of the group and of everybody else
SHARED_MEMORY = Path('/dev/shm')
SEGMENT_PREFIXES = ('fastrtps_', 'fastdds_')  # of Fast DDS 2 and 3
# RTPS 2.5, section 9.6.2.3: participants of a domain announce themselves on this port.
FIRST_PORT = 7400
PORTS_PER_DOMAIN = 250
LAST_DOMAIN = 232  # its ports are the last that there are


def keep_private() -> None:
    """From now on, what this process and its children create is for their user only."""
    os.umask(os.umask(OTHERS) | OTHERS)


def protect_shared_memory() -> None:
    """Take the shared memory that this process has mapped for Fast DDS from all other users.

    Fast DDS makes its segments with 0644 whatever the umask is, and sound and images lie in them.
    They exist as soon as the first node of a context does, before anything is published: call it
    then.
    """
    try:
        maps = Path('/proc/self/maps').read_text().splitlines()
    except OSError:  # no Linux
        return
    for path in {Path(line.split(maxsplit=5)[5]) for line in maps if str(SHARED_MEMORY) in line}:
        if path.name.startswith(SEGMENT_PREFIXES):
            _take_from_others(path)


def private_node(name: str, context=None, **options):
    """Make a node by rclpy.create_node with these options, its shared memory protected.

    Raises
    ------
    UserError
        When another user holds the domain, or DDS finds no room.
    """
    import rclpy

    context = context or rclpy.get_default_context()
    check_domain(context.get_domain_id())
    try:
        node = rclpy.create_node(name, context=context, **options)
    except RuntimeError as error:  # RCLError, which says no more than that it did not succeed
        reason = ' '.join(str(error).split(', at ')[0].split())
        if refusal(error):
            raise UserError(refusal(error)) from error
        raise UserError(
            f'{name} cannot join the graph: {reason}; is there room in {SHARED_MEMORY}?'
        ) from error
    protect_shared_memory()
    return node


def free_domain(folder: Path = SHARED_MEMORY) -> int:
    """Choose a domain in whose shared memory nobody is, nor was anybody killed there."""
    free = [domain for domain in range(1, 100) if not _is_used(domain, folder)]
    return random.choice(free or range(1, 100))


def _is_used(domain: int, folder: Path) -> bool:
    port = FIRST_PORT + PORTS_PER_DOMAIN * domain
    return any((folder / f'{prefix}port{port}').exists() for prefix in SEGMENT_PREFIXES)


def check_domain(domain: int, folder: Path = SHARED_MEMORY) -> None:
    """Refuse a domain that DDS has not, or whose shared memory belongs to another user.

    Fast DDS says nothing of it, and nodes then do not even find those of their own user; root
    finds its own, but disturbs the other user's. What was killed hard leaves such files behind.
    With the network, nodes do not announce themselves there, and nothing is refused.

    Raises
    ------
    UserError
        When there is no such domain, or its port in shared memory is not this user's.
    """
    if not 0 <= domain <= LAST_DOMAIN:  # Fast DDS would end the process
        raise UserError(
            f'ROS_DOMAIN_ID {domain} is none: DDS has 0 to {LAST_DOMAIN}, and 0 to 101 are free '
            'on every system'
        )
    if not is_closed():
        return
    port = FIRST_PORT + PORTS_PER_DOMAIN * domain
    for prefix in SEGMENT_PREFIXES:
        path = folder / f'{prefix}port{port}'
        try:
            user = path.stat().st_uid
        except FileNotFoundError:  # nobody is there, or no longer
            continue
        if user != os.geteuid():
            raise UserError(
                f'ROS_DOMAIN_ID {domain} is in use by {_user_name(user)} on this machine '
                f'({path}): be that user, take another ROS_DOMAIN_ID, or if nothing of theirs '
                f'runs any more, let them remove {folder}/*{prefix}*'
            )


def _take_from_others(path: Path) -> None:
    """Another user's file, or one that is gone already, stays as it is."""
    try:
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & OTHERS:
            path.chmod(status.st_mode & 0o700)
    except OSError:
        pass


def _user_name(number: int) -> str:
    import pwd

    try:
        return f'the user {pwd.getpwuid(number).pw_name}'
    except KeyError:
        return f'the user with number {number}'
