# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: where the data is, and a private DDS domain for each test process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from file_order import Stopwatch, kept_seconds, longest_first
from own_numbers import OwnNumbers
from run_folder import make_run_folder

ROOT = Path(__file__).resolve().parent.parent
try:
    from drawn import register_profiles
except (ImportError, pytest.skip.Exception):  # without Hypothesis its tests are skipped
    pass
else:
    register_profiles()


def pytest_configure(config):
    """Keep the tests off any running robot's graph, off the network and out of the user's log
    folder.
    """
    keep_bytecode()
    from dds_domains import own_domain

    is_worker = hasattr(config, 'workerinput')
    if is_worker or 'ROS_DOMAIN_ID' not in os.environ:  # a worker's is inherited, and so shared
        os.environ['ROS_DOMAIN_ID'] = str(own_domain())
    os.environ.setdefault('ROS_LOG_DIR', str(config.rootpath / '.pytest_cache' / 'ros_log'))
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()
    config.pluginmanager.register(OwnNumbers())
    if not is_worker:
        config.pluginmanager.register(Stopwatch(config))
        make_run_folder(config)
        from tidy_memory import tidy_shared_memory

        tidy_shared_memory(config)


def keep_bytecode():
    """Compile each source once: a run starts hundreds of processes, and each imports the suite."""
    sys.dont_write_bytecode = False
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)


def pytest_collection_modifyitems(config, items):
    """Where processes share the test files, the longest begin first."""
    if hasattr(config, 'workerinput'):
        items[:] = longest_first(items, kept_seconds(config))


@pytest.fixture(scope='session')
def data_directory() -> Path:
    """The folder of real recordings (AV_PERCEPTION_DATA); skips where it is absent."""
    path = Path(os.environ.get('AV_PERCEPTION_DATA', ROOT.parent / 'shared' / 'data'))
    if not path.is_dir():
        pytest.skip(f'no data at {path}: set AV_PERCEPTION_DATA')
    return path


@pytest.fixture()
def ros_context():
    """An initialised ROS context of its own."""
    import rclpy

    context = rclpy.context.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)
