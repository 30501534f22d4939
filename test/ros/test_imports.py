# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node imports before it is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from av_perception.nodes import __path__ as folders

# Its gain over a voice is an exponential integral; it is a server.
IN_NEED = {'voices', 'web_view'}
CODE = """
import importlib, pkgutil, sys
for node in pkgutil.iter_modules({folders!r}):
    if node.name not in {in_need!r}:
        importlib.import_module('av_perception.nodes.' + node.name)
unwanted = ('scipy', 'matplotlib', 'ssl')
print(*[name for name in sys.modules if name.split('.')[0] in unwanted])
"""


@pytest.mark.slow
def test_nodes_know_their_parameters_without_scipy_and_ssl():
    """Regression: four tenths of the time that a node took to start, and 40 MB of each."""
    code = CODE.format(folders=list(folders), in_need=IN_NEED)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == [], done.stdout + done.stderr
