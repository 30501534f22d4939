# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Write docs/parameters.md: every parameter of every node, in the order of the graph.

Run it after a change: make parameters
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """# Parameters

Made by `make parameters` from the nodes themselves; `ros2 param describe NODE NAME` says the same
on a running graph. Set them in `config/params.yaml` or in a copy of it (`params_file:=`); what is
a launch argument (`head`, `source`...) is set there. *Live* ones take effect at once, the others
when the node is configured.
"""
COLUMNS = '| parameter | default | range | live | meaning |\n|---|---|---|---|---|\n'


def table() -> str:
    """Write the whole page."""
    from av_perception.ros.bringup.composed import node_class
    from av_perception.ros.bringup.graph import NODES
    from av_perception.ros.node import AUTOSTART

    parts = [HEADER]
    for description in NODES:
        parts.append(f'\n## {description.name}\n\n{COLUMNS}')
        parts += [row(parameter) for parameter in (*node_class(description).PARAMETERS, AUTOSTART)]
    return ''.join(parts)


def row(parameter) -> str:
    """Write one line of the table."""
    allowed = ', '.join(f'`{c}`' if c else 'empty' for c in parameter.choices)
    if parameter.minimum is not None:
        allowed = f'{parameter.minimum:g} to {parameter.maximum:g}'
    live = 'yes' if parameter.live else ''
    meaning = parameter.description.replace('|', '/')
    default = _default(parameter.default)
    return f'| `{parameter.name}` | {default} | {allowed} | {live} | {meaning} |\n'


def _default(value) -> str:
    if value == '':
        return ''
    if isinstance(value, bool):
        value = str(value).lower()
    return f'`{value}`'


if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))
    (ROOT / 'docs' / 'parameters.md').write_text(table(), encoding='utf-8')
