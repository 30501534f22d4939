"""A colcon workspace of this repository, built as on a robot, with the ROS of the wheels in place of a distribution."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMMAND = 'colcon build --base-paths src src/av_perception/av_perception_msgs'
LEFT_OUT = shutil.ignore_patterns('.git', '.venv', '.pytest_cache', 'demo_output', 'build', 'install', 'log', '__pycache__', '*.egg-info')


@dataclass(frozen=True)
class Workspace:
    """A built workspace; `environment` is what `. install/setup.bash` makes of ours."""

    folder: Path
    environment: dict

    def executable(self, name: str) -> str:
        """Where ros2 run and launch find an executable of the package."""
        return str(self.folder / 'install' / 'av_perception' / 'lib' / 'av_perception' / name)


def build(folder: Path) -> Workspace:
    """Build, with the very command of the README. Skips where colcon or CMake are absent."""
    if importlib.util.find_spec('colcon_core') is None or shutil.which('cmake') is None:
        pytest.skip('colcon or cmake is absent: make test installs colcon, apt-get install cmake')
    shutil.copytree(ROOT, folder / 'src' / 'av_perception', ignore=LEFT_OUT)
    defaults = folder / 'defaults.yaml'   # what a sourced distribution needs not be told
    defaults.write_text(yaml.safe_dump({'build': {'cmake-args': [
        '-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={sys.executable}', f'-DCMAKE_PROJECT_INCLUDE={ROOT / "tools" / "wheels.cmake"}']}}))
    binaries = str(Path(sys.executable).parent)
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    environment |= {'PATH': f'{binaries}:{os.environ["PATH"]}', 'AMENT_PREFIX_PATH': sys.prefix, 'CMAKE_PREFIX_PATH': sys.prefix,
                    'COLCON_DEFAULTS_FILE': str(defaults)}
    built = subprocess.run(COMMAND.split(), cwd=folder, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, f'{COMMAND} failed:\n{built.stdout[-3000:]}{built.stderr[-3000:]}'
    sourced = subprocess.run(['bash', '-c', '. install/setup.bash && env -0'], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return Workspace(folder, dict(entry.split('=', 1) for entry in sourced.stdout.split('\0') if '=' in entry))
