# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the table of the long run in docs/reliability.md from the figures in docs/soak.json.

The figures are those of `av-perception benchmark soak --json docs/soak.json`.
"""

from __future__ import annotations

from page_tables import DOCS, rewrite, table_of

FIGURES = DOCS / 'soak.json'
PAGE = DOCS / 'reliability.md'
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
            for name, (told, digits) in NAMES.items()
        ),
    ]
    return table_of(HEADER, [[name, *cells] for name, cells in rows])


def _growth(way: dict, name: str, digits: int) -> str:
    """Tell the last reading, and by how much it had grown since the warm-up."""
    last = way['readings'][name][-1]
    return f'{last:.{digits}f} ({way["growth"][name]:+.{digits}f})'


TABLES = {HEADER: table}

if __name__ == '__main__':
    rewrite(PAGE, FIGURES, TABLES)
