"""Environment variables that ROS needs where no setup.bash was sourced, and that Fast DDS needs to carry images."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from av_perception.paths import share_directory

THREAD_VARIABLES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')   # our matrices are small: threads only fight over the cores
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def prepare_environment(environment=os.environ, network: bool = False):
    """Fill in what is missing and touch nothing that is set (but a log folder that cannot be written); returns the mapping.

    AMENT_PREFIX_PATH lets the wheels' packages be found; the Fast DDS profile keeps images whole (its defaults lose most of them).
    network: reach other hosts too, as always where a ROS distribution was sourced; else nothing leaves this machine.
    """
    limit_threads(environment)
    network = network or 'ROS_DISTRO' in environment
    environment.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    profile = share_directory() / 'config' / ('fastdds_network.xml' if network else 'fastdds_shared_memory.xml')
    for variable in PROFILE_VARIABLES:
        environment.setdefault(variable, str(profile))
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET' if network else 'LOCALHOST')
    _let_logs_be_written(environment)
    return environment


def _let_logs_be_written(environment) -> None:
    """Logs go to the temporary folder where ROS's own cannot be written: no node would start."""
    home = environment.get('ROS_HOME') or os.path.join(environment.get('HOME') or '~', '.ros')
    logs = Path(environment.get('ROS_LOG_DIR') or os.path.join(home, 'log')).expanduser()
    existing = next(folder for folder in (logs, *logs.absolute().parents) if folder.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return
    environment['ROS_LOG_DIR'] = os.path.join(tempfile.gettempdir(), f'ros_log_{os.getuid()}')
    print(f"av-perception: warning: cannot write to {logs}, logs are in {environment['ROS_LOG_DIR']}",
          file=sys.stderr)


def limit_threads(environment=os.environ) -> None:
    """One thread for the linear algebra of a process; takes effect before NumPy is imported."""
    for variable in THREAD_VARIABLES:
        environment.setdefault(variable, '1')
