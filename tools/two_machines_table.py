# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the tables in docs/two_machines.md from the figures in docs/two_machines.json.

The figures are those of `av-perception benchmark two-machines --json docs/two_machines.json`.
"""

from __future__ import annotations

from page_tables import DOCS, rewrite, table_of

FIGURES = DOCS / 'two_machines.json'
PAGE = DOCS / 'two_machines.md'
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
    return table_of(NETWORK_HEADER, [_network(row) for row in figures['trials']])


def named_table(figures: dict) -> str:
    """Write the sentences that named causes."""
    rows = [
        [f'`{row["name"]}`', f'`{said.replace("|", "/")}`']
        for row in figures['trials']
        for said in row['told']
    ]
    return table_of(NAMED_HEADER, rows)


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
    return table_of(JPEG_HEADER, rows)


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


TABLES = {
    NETWORK_HEADER: network_table,
    JPEG_HEADER: jpeg_table,
    NAMED_HEADER: named_table,
}

if __name__ == '__main__':
    rewrite(PAGE, FIGURES, TABLES)
