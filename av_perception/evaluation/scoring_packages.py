# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What to say where a package that only scores is missing: a robot does without them."""

from __future__ import annotations

import importlib.util

from av_perception.errors import UserError

_PACKAGES = ('trackeval', 'pyannote.metrics')  # named as their modules


def missing_package(package: str) -> UserError:
    """Make the error that says what to install.

    trackeval and pyannote.metrics bring a NumPy 2, which must not get in front of a robot's own.
    """
    return UserError(
        f'evaluation needs the package {package}: pip install trackeval pyannote.metrics '
        '(on a robot in a virtual environment: they bring a NumPy of their own)'
    )


def require_scoring() -> None:
    """Check, before long work, that its outcome can be scored.

    Raises
    ------
    UserError
        A package is absent.
    """
    for package in _PACKAGES:
        if not _is_installed(package):
            raise missing_package(package)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it belongs to
        return False
