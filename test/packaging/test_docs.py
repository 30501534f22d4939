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
    indexes = [folder / 'index.md', folder / 'systems.md']
    trees = [re.findall(r'```{toctree}.*?```', p.read_text('utf-8'), re.DOTALL) for p in indexes]
    listed = {name for tree in sum(trees, []) for name in re.findall(r'(?m)^[a-z_/]+$', tree)}
    pages_there = {
        p.relative_to(folder).with_suffix('').as_posix()
        for p in folder.rglob('*.md')
        if '_build' not in p.parts
    }
    assert listed == pages_there - {'index'}


SYSTEMS = sorted((ROOT / 'docs' / 'systems').glob('*.md'))


def test_each_of_the_fifteen_systems_has_a_page_and_a_line_of_the_index():
    index = (ROOT / 'docs' / 'systems.md').read_text('utf-8')
    rows = re.findall(r'^\| \d+ \| \[[^]]+\]\(systems/([a-z_]+)\.md\)', index, re.MULTILINE)
    assert len(rows) == 15 and sorted(rows) == [page.stem for page in SYSTEMS]


@pytest.mark.parametrize('page', SYSTEMS, ids=lambda page: page.stem)
def test_a_page_of_a_system_says_all_that_a_reader_asks(page):
    text = page.read_text('utf-8')
    wanted = ['What it does for a robot', 'Use it', 'How it works', 'Figures', 'Limits']
    assert re.findall(r'^## (.*)$', text, re.MULTILINE) == [*wanted, 'Tested by']
    assert 45 <= len(text.splitlines()) <= 120


@pytest.mark.parametrize('page', SYSTEMS, ids=lambda page: page.stem)
def test_equations_name_functions_that_stand_in_their_file(page):
    """`folder/file.py`: `function`, `other` of the tables."""
    places = re.findall(r'`([a-z_0-9/]+\.py)`: ((?:`\w+`(?:, )?)+)', page.read_text('utf-8'))
    missing = []
    for file, names in places:
        code = (PACKAGE / file).read_text('utf-8')
        for name in re.findall(r'`(\w+)`', names):
            if not re.search(rf'^\s*(?:def|class) {name}\b', code, re.MULTILINE):
                missing.append(f'{file}: {name}')
    assert len(places) >= 4 and missing == []
