# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the table of the long run in docs/reliability.md from the figures in docs/soak.json.

The figures are those of `av-perception benchmark soak --json docs/soak.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / 'docs' / 'soak.json'
PAGE = ROOT / 'docs' / 'reliability.md'
HEADER = '| a long run | offline pipeline | nodes |'
WAYS = ('offline', 'nodes')
NAMES = {
    'memory_mib': ('memory of its own [MiB]', 1),
    'handles': ('open files, sockets, pipes', 0),
    'threads': ('threads', 0),
    'segments': ('pieces of shared memory', 0),
}


def table(figures: dict) -> str:
    """Write a column for each way, a row for each figure."""
    ways = [figures[way] for way in WAYS]
    rows = [
        ("minutes of the sensors' time", [f'{way["minutes"]:g}' for way in ways]),
        ('people, and how often one came', [f'{w["people"]}, {w["visits"]}' for w in ways]),
        ('ids', [str(way['ids']) for way in ways]),
        (
            'images sent = answered + dropped for a reason',
            [f'{w["sent"]} = {w["answered"]} + {sum(w["dropped"].values())}' for w in ways],
        ),
        (
            'pauses of the sound, noticed',
            [f'{way["pauses"]}, {way["pauses_noticed"]}' for way in ways],
        ),
        *(
            (told, [_growth(way, name, digits) for way in ways])
            for name, (told, digits) in _named()
        ),
    ]
    lines = [HEADER, '|---|---|---|']
    lines += [f'| {" | ".join([name, *cells])} |' for name, cells in rows]
    return '\n'.join(lines) + '\n'


def _named() -> list[tuple[str, tuple[str, int]]]:
    return list(NAMES.items())


def _growth(way: dict, name: str, digits: int) -> str:
    """Tell the last reading, and by how much it had grown since the warm-up."""
    last = way['readings'][name][-1]
    return f'{last:.{digits}f} ({way["growth"][name]:+.{digits}f})'


def written(page: str) -> str:
    """Cut the table out of the text of the page."""
    start = page.index(HEADER)
    end = page.find('\n\n', start)
    return page[start : end + 1] if end >= 0 else page[start:]


if __name__ == '__main__':
    text = PAGE.read_text(encoding='utf-8')
    fresh = table(json.loads(FIGURES.read_text(encoding='utf-8')))
    PAGE.write_text(text.replace(written(text), fresh), encoding='utf-8')
