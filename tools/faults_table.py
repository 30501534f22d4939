# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the table of faults in docs/reliability.md from the figures in docs/faults.json.

The figures are those of `av-perception benchmark faults --json docs/faults.json`.
"""

from __future__ import annotations

from page_tables import DOCS, rewrite, table_of

from av_perception.ros.faults.catalog import FAULTS

FIGURES = DOCS / 'faults.json'
PAGE = DOCS / 'reliability.md'
HEADER = '| fault | what goes wrong | lives | right again | ids | named |'
LONGEST = 90  # characters of the sentence that names the cause


def table(figures: dict) -> str:
    """Write one row for each fault, and one of all, with how long they took."""
    faults = figures['faults']
    held = sum(fault['held'] for fault in faults)
    slowest = max(fault['recovery_s'] or 0.0 for fault in faults)
    minutes = sum(fault['took_s'] for fault in faults) / 60.0
    passed = f'{held} of {len(faults)} passed'
    everything = ['all', passed, '', f'at most {slowest:.2f} s', '', f'{minutes:.0f} min in all']
    return table_of(HEADER, [*map(_cells, faults), everything])


def _cells(fault: dict) -> list[str]:
    recovery = '-' if fault['recovery_s'] is None else f'{fault["recovery_s"]:.2f} s'
    told = '-'
    if fault['told']:
        told = next(f for f in FAULTS if f.name == fault['name']).excerpt(fault['told'])
    if len(told) > LONGEST:
        told = f'{told[:LONGEST].rstrip()} ...'
    return [
        f'`{fault["name"]}`',
        fault['what'],
        'yes' if fault['survived'] else 'no',
        recovery,
        {True: 'kept', False: 'lost', None: '-'}[fault['ids_kept']],
        told.replace('|', '/'),
    ]


TABLES = {HEADER: table}

if __name__ == '__main__':
    rewrite(PAGE, FIGURES, TABLES)
