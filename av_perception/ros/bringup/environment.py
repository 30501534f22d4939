# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Environment variables: what ROS needs without setup.bash, and who can reach the graph.

Unless the network is asked for, Fast DDS gets a profile with shared memory alone: no process opens
a network socket. What the user has set themself (a profile, a discovery range, another RMW) stays;
`reach` says what that means.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from av_perception.errors import UserError
from av_perception.paths import share_directory

# Our matrices are small: threads only fight over the cores.
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')
# Fast DDS 2 reads the first one, Fast DDS 3 the second one.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
RANGE_VARIABLE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'


def prepare_environment(environment=os.environ, network: bool = False):
    """Fill in what is missing and touch nothing that the user has set.

    But for a log folder that cannot be written. AMENT_PREFIX_PATH lets the wheels' packages be
    found; the Fast DDS profile decides whether there are network sockets and keeps images whole
    (Fast DDS's defaults lose most of them).

    Parameters
    ----------
    environment : MutableMapping[str, str]
        What is filled in.
    network : bool
        Let other hosts reach the graph. False leaves it as it is: closed, if nobody has opened it.

    Returns
    -------
    MutableMapping[str, str]
        The same mapping.

    Raises
    ------
    UserError
        When the profile that the user has set cannot be read.
    """
    limit_threads(environment)
    _check_profile(environment)
    environment.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    profile = _chosen_profile(environment)
    if profile == '' or (network and profile == _shipped_profile('shared_memory')):
        profile = _shipped_profile('network' if network else 'shared_memory')
        environment.update(dict.fromkeys(PROFILE_VARIABLES, profile))
    for name in PROFILE_VARIABLES:  # where the user has set one, it is meant for either version
        environment.setdefault(name, profile)
    _set_range(environment, profile, network)
    _let_logs_be_written(environment)
    return environment


def _set_range(environment, profile: str, network: bool) -> None:
    """Set how far nodes look for each other, where the user has not."""
    if not _is_fast_dds(environment):
        # No profile of ours speaks to another RMW; LOCALHOST is what they have.
        environment.setdefault(RANGE_VARIABLE, 'SUBNET' if network else 'LOCALHOST')
    elif profile == _shipped_profile('shared_memory'):
        # With LOCALHOST, rmw_fastrtps adds a UDP transport that listens on every interface.
        environment.setdefault(RANGE_VARIABLE, 'SYSTEM_DEFAULT')


def _check_profile(environment) -> None:
    """Refuse a profile that Fast DDS would pass over: it would open the graph to the network."""
    from xml.etree import ElementTree

    for variable in PROFILE_VARIABLES:
        path = environment.get(variable, '')
        if not path or not _is_fast_dds(environment):
            continue
        try:
            ElementTree.parse(path)
        except (OSError, ElementTree.ParseError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise UserError(
                f'the Fast DDS profile {path} cannot be read ({reason}), and without one every '
                f'host could reach the graph: correct {variable}, or unset it'
            ) from error


def reach_with(profile: str) -> str:
    """Say what `reach` says of nodes that are started with this Fast DDS profile."""
    return reach(prepare_environment({**os.environ, **dict.fromkeys(PROFILE_VARIABLES, profile)}))


def reach(environment=os.environ) -> str:
    """One line: who can reach the graph of a prepared environment, and by whose choice."""
    return f'{_reach(environment)}{_security(environment)}'


def _security(environment) -> str:
    if environment.get('ROS_SECURITY_ENABLE', '').lower() != 'true':
        return ''
    keys = environment.get('ROS_SECURITY_KEYSTORE', '')
    if environment.get('ROS_SECURITY_STRATEGY') != 'Enforce':
        return (
            '; ROS_SECURITY_ENABLE=true without ROS_SECURITY_STRATEGY=Enforce: a process without '
            'keys starts UNPROTECTED'
        )
    return f'; only processes with keys of {keys or "ROS_SECURITY_KEYSTORE, which is not set"}'


def _reach(environment) -> str:
    chosen_range = environment.get(RANGE_VARIABLE, 'SUBNET')
    profile = _chosen_profile(environment)
    if not _is_fast_dds(environment):
        return (
            f'RMW_IMPLEMENTATION={environment["RMW_IMPLEMENTATION"]} is your choice: its own '
            f'settings and {RANGE_VARIABLE}={chosen_range} decide who can reach the graph'
        )
    if chosen_range == 'OFF':
        return f'{RANGE_VARIABLE}=OFF is your choice: the nodes do not find each other; unset it'
    if profile == _shipped_profile('network'):
        return _open_reach(environment, chosen_range)
    if profile != _shipped_profile('shared_memory'):
        return f'the Fast DDS profile {profile} is your choice: it decides who can reach the graph'
    if _is_local_only(environment):
        return (
            f'{_local_setting(environment)} is your choice: with it Fast DDS listens on UDP on '
            'every interface of this machine; unset it, and there is no network socket at all'
        )
    return (
        'the graph is closed to the network: shared memory of this machine alone, for this user. '
        f'For ros2, rviz and drivers in another shell: {tools_line(environment)}'
    )


def is_closed(environment=os.environ) -> bool:
    """Whether a prepared environment makes Fast DDS use shared memory alone."""
    shared = _chosen_profile(environment) == _shipped_profile('shared_memory')
    return shared and _is_fast_dds(environment) and not _is_local_only(environment)


def tools_line(environment=os.environ) -> str:
    """Give what makes ros2, rviz and drivers in another shell find a graph that is closed."""
    variable = PROFILE_VARIABLES[environment.get('ROS_DISTRO', 'jazzy') >= 'kilted']
    return f'export {variable}={_shipped_profile("shared_memory")} {RANGE_VARIABLE}=SYSTEM_DEFAULT'


def _let_logs_be_written(environment) -> None:
    """Send logs to the temporary folder where ROS's own cannot be written.

    No node would start.
    """
    home = environment.get('ROS_HOME') or os.path.join(environment.get('HOME') or '~', '.ros')
    logs = Path(environment.get('ROS_LOG_DIR') or os.path.join(home, 'log')).expanduser()
    existing = next(folder for folder in (logs, *logs.absolute().parents) if folder.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        if not environment.get('HOME'):  # as of a service of systemd: ROS itself looks no further
            environment.setdefault('ROS_LOG_DIR', str(logs))
        return
    environment['ROS_LOG_DIR'] = os.path.join(tempfile.gettempdir(), f'ros_log_{os.getuid()}')
    print(
        f'av-perception: warning: cannot write to {logs}, '
        f'logs are in {environment["ROS_LOG_DIR"]}',
        file=sys.stderr,
    )


def limit_threads(environment=os.environ) -> None:
    """One thread for the linear algebra of a process; takes effect before NumPy is imported."""
    for variable in THREAD_VARIABLES:
        environment.setdefault(variable, '1')


def _shipped_profile(name: str) -> str:
    return str(share_directory() / 'config' / f'fastdds_{name}.xml')


def _chosen_profile(environment) -> str:
    """Give the profile that the environment names, '' if none; ours by its present path."""
    named = next((environment[name] for name in PROFILE_VARIABLES if environment.get(name)), '')
    for name in ('shared_memory', 'network'):
        if named and os.path.realpath(named) == os.path.realpath(_shipped_profile(name)):
            return _shipped_profile(name)
    return named


def _is_fast_dds(environment) -> bool:
    chosen = environment.get('RMW_IMPLEMENTATION', '')
    return chosen == '' or chosen.startswith('rmw_fastrtps')


def _is_local_only(environment) -> bool:
    return (
        environment.get('ROS_LOCALHOST_ONLY') == '1'
        or environment.get(RANGE_VARIABLE) == 'LOCALHOST'
    )


def _local_setting(environment) -> str:
    """Name the setting that asks for this machine alone, as the user wrote it."""
    if environment.get('ROS_LOCALHOST_ONLY') == '1':
        return 'ROS_LOCALHOST_ONLY=1'
    return f'{RANGE_VARIABLE}=LOCALHOST'


def _open_reach(environment, chosen_range: str) -> str:
    if _is_local_only(environment):
        return (
            f'{_local_setting(environment)} is your choice: no other host is looked for, though '
            'UDP sockets are open on every interface of this machine'
        )
    if chosen_range == 'SYSTEM_DEFAULT':
        chosen_range = 'SUBNET'
    domain = environment.get('ROS_DOMAIN_ID', '0')
    return (
        'the graph is open to the network: every host that reaches this one can hear and see what '
        f'it does and call its services (ROS_DOMAIN_ID {domain}, {chosen_range})'
    )
