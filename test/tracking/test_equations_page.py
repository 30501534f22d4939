# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The page that leads from equations to code names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import av_perception

PACKAGE = Path(av_perception.__file__).parent
PAGE = PACKAGE.parent / 'docs' / 'tracker_equations.md'
ROW = re.compile(r'^\| (T\d+) \|.*\| ([^|]+) \|$', re.MULTILINE)


def rows():
    """Label and last column of every equation."""
    return dict(ROW.findall(PAGE.read_text(encoding='utf-8')))


def sources():
    files = [*(PACKAGE / 'tracking').rglob('*.py'), *(PACKAGE / 'diarization').glob('*.py')]
    return {path.relative_to(PACKAGE).as_posix(): path.read_text('utf-8') for path in files}


def test_every_file_and_function_of_the_walk_exists():
    texts = sources()
    everything = '\n'.join(texts.values())
    for label, where in rows().items():
        for name in re.findall(r'`([^`]+)`', where):
            if name.endswith('.py'):
                pattern = name.removeprefix('av_perception/').replace('*', '[a-z_]+')
                assert any(re.search(rf'(^|/){pattern}$', path) for path in texts), (label, name)
            else:
                assert re.search(rf'(def|class) {name.split(".")[-1]}\b', everything), (
                    label,
                    name,
                )


def test_every_equation_that_the_code_names_is_on_the_page():
    labels = set(rows())
    assert labels == {f'T{number}' for number in range(1, len(labels) + 1)}
    named = {label for text in sources().values() for label in re.findall(r'\bT\d+\b', text)}
    assert named == labels
