# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the tables in docs/two_machines.md from the figures in docs/two_machines.json.

The figures are those of `av-perception benchmark two-machines --json docs/two_machines.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / 'docs' / 'two_machines.json'
PAGE = ROOT / 'docs' / 'two_machines.md'
NETWORK_HEADER = (
    '| network | images | latency, 95 % | oldest image | sound lost | left out, lost | ids | '
    'right again | Mbit/s |'
)
JPEG_HEADER = (
    '| people at | quality | Mbit/s | faces found | false per image | depth | looks moved |'
)
NAMED_HEADER = '| network | what `/diagnostics` says |'


def network_table(figures: dict) -> str:
    """Write one row for each state of the network."""
    return _table(NETWORK_HEADER, [_network(row) for row in figures['trials']])


def named_table(figures: dict) -> str:
    """Write the sentences that named causes."""
    rows = [
        [f'`{row["name"]}`', f'`{said.replace("|", "/")}`']
        for row in figures['trials']
        for said in row['told']
    ]
    return _table(NAMED_HEADER, rows)


def jpeg_table(figures: dict) -> str:
    """Write one row for each quality."""
    rows = [
        [
            f'{row["distance_m"]:.0f} m',
            str(row['quality'] or 'raw'),
            f'{row["mbit_s"]:.1f}',
            f'{100 * row["recall"]:.1f} %',
            f'{row["false_faces"]:.2f}',
            f'{100 * row["depth_error"]:.1f} %',
            f'{100 * row["looks_moved"]:.1f} %',
        ]
        for row in figures['compression']
    ]
    return _table(JPEG_HEADER, rows)


def _network(row: dict) -> list[str]:
    latency = '{:.0f} ms, {:.0f} ms'.format(*row['latency_ms'])
    oldest = row['oldest_image_ms']
    recovery = '-' if row['recovery_s'] is None else f'{row["recovery_s"]:.2f} s'
    return [
        f'`{row["name"]}`: {row["what"]}',
        f'{row["images_hz"]:.1f} Hz',
        latency,
        'none came' if oldest is None else f'{oldest:.0f} ms',
        str(row['sound_lost']),
        f'{row["images_left_out"]}, {row["images_lost"]}',
        'kept' if row['ids_kept'] else 'lost',
        recovery,
        f'{row["mbit_s"]:.1f}',
    ]


def _table(header: str, rows: list[list[str]]) -> str:
    lines = [header, '|' + '---|' * (header.count('|') - 1)]
    return '\n'.join([*lines, *(f'| {" | ".join(row)} |' for row in rows)]) + '\n'


def written(page: str, header: str) -> str:
    """Cut the table with a header out of the text of the page."""
    start = page.index(header)
    end = page.find('\n\n', start)
    return page[start : end + 1] if end >= 0 else page[start:]


TABLES = {
    NETWORK_HEADER: network_table,
    JPEG_HEADER: jpeg_table,
    NAMED_HEADER: named_table,
}

if __name__ == '__main__':
    text = PAGE.read_text(encoding='utf-8')
    found = json.loads(FIGURES.read_text(encoding='utf-8'))
    for first, table in TABLES.items():
        text = text.replace(written(text, first), table(found))
    PAGE.write_text(text, encoding='utf-8')
