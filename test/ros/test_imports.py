# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node imports before it is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from av_perception.nodes import __path__ as folders

# Its gain over a voice is an exponential integral.
COMPUTING = {'voices'}
CODE = """
import importlib, pkgutil, sys
for node in pkgutil.iter_modules({folders!r}):
    if node.name not in {computing!r}:
        importlib.import_module('av_perception.nodes.' + node.name)
print(*[name for name in sys.modules if name.split('.')[0] in ('scipy', 'matplotlib')])
"""


@pytest.mark.slow
def test_nodes_know_their_parameters_without_scipy():
    """Regression: four tenths of the time that a node took to start, and 40 MB of each."""
    code = CODE.format(folders=list(folders), computing=COMPUTING)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == [], done.stdout + done.stderr
