# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write the table of crossings in docs/people.md from the figures in docs/crossings.json.

The figures are those of `av-perception benchmark crossings --json docs/crossings.json`.
"""

from __future__ import annotations

from page_tables import DOCS, rewrite, table_of

FIGURES = DOCS / 'crossings.json'
PAGE = DOCS / 'people.md'
HEADER = (
    '| crossing | tracker | MOTA | IDF1 | OSPA [m] | switches a minute | error | oldest ghost '
    '| right ids |'
)


def table(figures: dict) -> str:
    """Write the table of the means and standard deviations over the scenes of every kind."""
    rows = []
    last = None
    for row in figures['summary']:
        kind = '' if row['kind'] == last else f'`{row["kind"]}`'
        last = row['kind']
        cells = [
            kind,
            row['tracker'],
            _percent(row, 'mota'),
            _percent(row, 'idf1'),
            f'{row["ospa_m"]:.3f}',
            f'{row["switches_per_minute"]:.1f}',
            f'{100 * row["position_rmse_m"]:.1f} cm',
            f'{row["oldest_ghost_s"]:.2f} s',
            f'{100 * row["right_ids"]:.0f} %',
        ]
        rows.append(cells)
    return table_of(HEADER, rows)


def _percent(row: dict, name: str) -> str:
    return f'{100 * row[name]:.1f} ± {100 * row[f"{name}_sd"]:.1f} %'


TABLES = {HEADER: table}

if __name__ == '__main__':
    rewrite(PAGE, FIGURES, TABLES)
