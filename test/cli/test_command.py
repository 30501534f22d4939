# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The entry of the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from av_perception import __version__

INTERRUPTED = """
import os, signal, sys
from av_perception.cli.command import main

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == 'av_perception.cli.main':
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
main()
"""
WHOLE = """
import sys
from av_perception.cli.command import main
sys.argv = ['av-perception', '--version']
main()
"""


def run(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_ctrl_c_while_the_command_imports_ended_in_a_traceback():
    done = run(INTERRUPTED)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == '' and done.stdout == ''


def test_it_is_the_command():
    done = run(WHOLE)
    assert done.returncode == 0 and done.stdout.strip() == f'av-perception {__version__}'


def test_a_backend_of_the_shell_that_is_none_ended_pictures():
    code = """
from av_perception.cli.main import main
try:
    main(['--version'])
finally:
    import matplotlib
    print(matplotlib.get_backend())
"""
    environment = {**os.environ, 'MPLBACKEND': 'nothing'}
    words = [sys.executable, '-c', code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.stdout.split()[-1].lower() == 'agg' and 'Traceback' not in done.stderr
