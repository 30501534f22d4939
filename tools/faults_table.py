# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the table of faults in docs/reliability.md from the figures in docs/faults.json.

The figures are those of `av-perception benchmark faults --json docs/faults.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

from av_perception.ros.faults.catalog import FAULTS

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / 'docs' / 'faults.json'
PAGE = ROOT / 'docs' / 'reliability.md'
HEADER = '| fault | what goes wrong | lives | right again | ids | named |'
LONGEST = 90  # characters of the sentence that names the cause


def table(figures: dict) -> str:
    """Write one row for each fault, and one of all."""
    faults = figures['faults']
    lines = [HEADER, '|---|---|---|---|---|---|']
    lines += [f'| {" | ".join(_cells(fault))} |' for fault in faults]
    held = sum(fault['held'] for fault in faults)
    slowest = max(fault['recovery_s'] or 0.0 for fault in faults)
    cells = ['all', f'{held} of {len(faults)} stood', '', f'at most {slowest:.2f} s', '', '']
    lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


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


def written(page: str) -> str:
    """Cut the table out of the text of the page."""
    start = page.index(HEADER)
    end = page.find('\n\n', start)
    return page[start : end + 1] if end >= 0 else page[start:]


if __name__ == '__main__':
    text = PAGE.read_text(encoding='utf-8')
    fresh = table(json.loads(FIGURES.read_text(encoding='utf-8')))
    PAGE.write_text(text.replace(written(text), fresh), encoding='utf-8')
