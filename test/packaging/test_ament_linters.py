# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The linters of ROS 2, where a distribution has brought them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [str(ROOT / folder) for folder in ('av_perception', 'launch', 'test')]


def linter(name: str):
    """The main module of an ament linter; skips where it is not installed."""
    return pytest.importorskip(
        f'{name}.main', reason=f'{name} is not installed: it comes with ROS 2'
    )


def test_flake8():
    failures, messages = linter('ament_flake8').main_with_errors(
        argv=['--linelength', '99', *SOURCES]
    )
    assert failures == 0, '\n'.join(messages)


def test_pep257():
    ignored = ['D105', 'D107', 'D203', 'D212', 'D213', 'D401', 'D413']
    assert linter('ament_pep257').main(argv=['--ignore', *ignored, '--', SOURCES[0]]) == 0


def test_copyright():
    assert linter('ament_copyright').main(argv=[str(ROOT / 'av_perception')]) == 0


def test_xmllint():
    assert linter('ament_xmllint').main(argv=[str(ROOT / 'package.xml')]) == 0


def test_mypy():
    config = ['--config', str(ROOT / 'pyproject.toml')]
    assert linter('ament_mypy').main(argv=[*config, str(ROOT / 'av_perception')]) == 0
