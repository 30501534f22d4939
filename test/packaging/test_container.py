# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The container copies files that exist and installs what the front page installs.

It is not built here: that needs a registry of images.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPE = re.sub(r'\\\n\s*', ' ', (ROOT / '.devcontainer' / 'Dockerfile').read_text('utf-8'))
SETTINGS = json.loads((ROOT / '.devcontainer' / 'devcontainer.json').read_text('utf-8'))
ROBOT = (ROOT / 'README.md').read_text('utf-8').split('## On a robot')[1].split('\n## ')[0]


def test_what_is_copied_exists():
    copied = [line.split()[1:-1] for line in RECIPE.splitlines() if line.startswith('COPY')]
    files = [name for names in copied for name in names]
    assert len(files) > 3 and [name for name in files if not (ROOT / name).exists()] == []


def test_it_installs_and_builds_as_the_front_page_does():
    by_pip = set(re.findall(r'[a-z-]+==[\d.]+', RECIPE))
    assert by_pip and by_pip == set(re.findall(r'[a-z-]+==[\d.]+', ROBOT))
    for line in ('colcon build --base-paths src src/av_perception/av_perception_msgs',):
        assert line in RECIPE and line in ROBOT
    assert '-r requirements-robot.txt' in RECIPE


def test_the_development_container_builds_this_recipe_for_a_distribution_that_is_named():
    build = SETTINGS['build']
    folder = ROOT / '.devcontainer'
    assert (folder / build['dockerfile']).is_file()
    assert (folder / build['context']).resolve() == ROOT
    distribution = build['args']['DISTRIBUTION']
    assert f'/opt/ros/{distribution}/setup.bash' in SETTINGS['postCreateCommand']
    assert f'ARG DISTRIBUTION={distribution}' in RECIPE
