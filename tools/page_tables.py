# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tables of the docs that are made from figures: found in the text of a page, and written there.

A table is known by its header; what stands below it, to the next empty line, is its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / 'docs'


def table_of(header: str, rows: Sequence[Sequence[str]]) -> str:
    """Write the cells of rows below a header line."""
    lines = [header, '|' + '---|' * (header.count('|') - 1)]
    return '\n'.join([*lines, *(f'| {" | ".join(row)} |' for row in rows)]) + '\n'


def written(page: str, header: str) -> str:
    """Cut the table with a header out of the text of a page."""
    start = page.index(header)
    end = page.find('\n\n', start)
    return page[start : end + 1] if end >= 0 else page[start:]


def rewrite(page: Path, figures: Path, tables: Mapping[str, Callable[[Any], str]]) -> None:
    """Put fresh tables in the place of those that a page holds.

    Parameters
    ----------
    page
        The file to change.
    figures
        A JSON file, whose content every table is made from.
    tables
        By header: makes the whole table.
    """
    text = page.read_text(encoding='utf-8')
    content = json.loads(figures.read_text(encoding='utf-8'))
    for header, table in tables.items():
        text = text.replace(written(text, header), table(content))
    page.write_text(text, encoding='utf-8')
