# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The docs name files that exist, link to pages that exist, and can be read in a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
PACKAGE = ROOT / 'av_perception'
MAX_COLUMNS = 100


def pages(test):
    return pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)(test)


def exists(named: str) -> bool:
    return (ROOT / named).exists() or (PACKAGE / named).exists()


@pages
def test_source_files_that_are_named_exist(page):
    named = set(re.findall(r'`([a-z_0-9]+(?:/[a-z_0-9]+)+\.py)', page.read_text('utf-8')))
    assert not sorted(name for name in named if not exists(name))


@pages
def test_links_to_files_resolve(page):
    text = re.sub(r'```.*?```', '', page.read_text('utf-8'), flags=re.DOTALL)
    targets = {target.split('#')[0] for target in re.findall(r'\]\(([^)\s]+)\)', text)}
    files = {t for t in targets if t and not t.startswith(('http:', 'https:', 'mailto:'))}
    assert not sorted(name for name in files if not (page.parent / name).exists())


@pages
def test_prose_is_wrapped(page):
    """Tables, code and what cannot be broken (links, inline code) may be wider."""
    text = re.sub(r'```.*?```', '', page.read_text('utf-8'), flags=re.DOTALL)
    breakable = re.sub(r'`[^`]*`|\[[^]]*\]\([^)]*\)', '', text)
    lines = [line for line in breakable.splitlines() if not line.startswith(('|', '!', '#'))]
    assert not [line for line in lines if len(line) > MAX_COLUMNS]


def test_messages_that_are_quoted_are_those_that_are_printed():
    """Who looks a message up finds it: each part between names and numbers is in the source."""
    joined = ''.join(path.read_text('utf-8') for path in sorted(PACKAGE.rglob('*.py')))
    # Strings that go on in the next line are one.
    joined = re.sub(r"""['"]\s*\n\s*f?['"]""", '', joined)
    rows = re.findall(
        r'^\| `([^`]+)`', (ROOT / 'docs' / 'troubleshooting.md').read_text('utf-8'), re.MULTILINE
    )
    assert len(rows) > 25
    parts = [part.strip() for row in rows for part in row.split('…')]
    assert [part for part in parts if part and part not in joined] == []


def test_the_index_leads_to_every_page():
    folder = ROOT / 'docs'
    listed = set(re.findall(r'^[a-z_/]+$', (folder / 'index.md').read_text('utf-8'), re.MULTILINE))
    pages_there = {
        p.relative_to(folder).with_suffix('').as_posix()
        for p in folder.rglob('*.md')
        if '_build' not in p.parts
    }
    assert listed == pages_there - {'index'}
