"""Faces and voices are for the user who runs the suite: no one else may read its files and its shared memory."""

from __future__ import annotations

import os
from pathlib import Path

from av_perception.errors import UserError

OTHERS = 0o077   # all rights of the group and of everybody else
SHARED_MEMORY = Path('/dev/shm')
SEGMENT_PREFIXES = ('fastrtps_', 'fastdds_')   # of Fast DDS 2 and 3
# RTPS 2.5, section 9.6.2.3: participants of a domain announce themselves on this port.
FIRST_PORT = 7400
PORTS_PER_DOMAIN = 250


def keep_private() -> None:
    """What this process and its children create from now on is for their user only (0600, folders 0700)."""
    os.umask(os.umask(OTHERS) | OTHERS)


def protect_shared_memory() -> None:
    """Take the shared memory that this process has mapped for Fast DDS from all other users.

    Fast DDS makes its segments with 0644 whatever the umask is, and sound and images lie in them. They exist as soon
    as the first node of a context does, before anything is published: call it then.
    """
    try:
        maps = Path('/proc/self/maps').read_text().splitlines()
    except OSError:   # no Linux
        return
    for path in {Path(line.split(maxsplit=5)[5]) for line in maps if str(SHARED_MEMORY) in line}:
        if path.name.startswith(SEGMENT_PREFIXES):
            _take_from_others(path)


def private_node(name: str, context=None, **options):
    """A node (rclpy.create_node with these options) whose shared memory is its user's. Raises UserError as `check_domain`."""
    import rclpy
    context = context or rclpy.get_default_context()
    check_domain(context.get_domain_id())
    node = rclpy.create_node(name, context=context, **options)
    protect_shared_memory()
    return node


def check_domain(domain: int, folder: Path = SHARED_MEMORY) -> None:
    """Fast DDS fails silently where another user holds the domain: nodes do not even find those of their own user.

    What was killed hard leaves such files behind too.

    Raises
    ------
    UserError
        When the domain's port in shared memory cannot be opened by this user.
    """
    port = FIRST_PORT + PORTS_PER_DOMAIN * domain
    for prefix in SEGMENT_PREFIXES:
        path = folder / f'{prefix}port{port}'
        if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise UserError(f'ROS_DOMAIN_ID {domain} is in use by {_owner(path)} on this machine ({path}): take another '
                            f'ROS_DOMAIN_ID, or if nothing of theirs runs any more, let them remove {folder}/*{prefix}*')


def _take_from_others(path: Path) -> None:
    """Another user's file, or one that is gone already, stays as it is."""
    try:
        status = path.stat()
        if status.st_uid == os.geteuid() and status.st_mode & OTHERS:
            path.chmod(status.st_mode & 0o700)
    except OSError:
        pass


def _owner(path: Path) -> str:
    import pwd
    number = path.stat().st_uid
    try:
        return f'the user {pwd.getpwuid(number).pw_name}'
    except KeyError:
        return f'the user with number {number}'
