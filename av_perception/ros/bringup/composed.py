# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The nodes of the graph in one process, each with its own executor and thread.

It is what a launch file starts with use_composition:=true. The nodes voices and head_pose stay
outside: each has a process of its own.

ros2 run av_perception composed --head nao --microphones naoqi --ros-args --params-file params.yaml
"""

from __future__ import annotations

import argparse
import importlib
import sys

from av_perception.errors import describe
from av_perception.robot_head import load_head
from av_perception.ros.bringup.environment import limit_threads
from av_perception.ros.bringup.graph import (
    ARGUMENTS,
    SELECTION,
    NodeDescription,
    Selection,
    nodes_for,
    split,
)


def node_class(description: NodeDescription) -> type:
    """Import the class of a node, a PerceptionNode."""
    module = importlib.import_module(description.module)
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return next(kind for kind in classes if getattr(kind, 'NAME', '') == description.name)


def main(words: list[str] | None = None) -> int:
    """Run the process; what follows --ros-args is for all nodes."""
    limit_threads()  # before NumPy
    words = sys.argv[1:] if words is None else words
    end = words.index('--ros-args') if '--ros-args' in words else len(words)
    options = vars(_parser().parse_args(words[:end]))
    respawn = options.pop('respawn').lower() == 'true'
    try:
        head = load_head(options.pop('head'))
        nodes, _ = split(nodes_for(head, Selection.from_words(**options)))
        node_types = {node_class(node): node.niceness for node in nodes}
    except Exception as error:  # a UserError, or what importing a node may raise
        print(f'composed: error: {describe(error)}', file=sys.stderr)
        return 2
    from av_perception.ros.process import run_nodes

    return run_nodes(node_types, words[end:], respawn)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='composed', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--head', default=ARGUMENTS['head'].text, help=ARGUMENTS['head'].description
    )
    parser.add_argument(
        '--respawn', default='false', help='make a node again that ended by itself: true or false'
    )
    for name, argument in SELECTION.items():
        parser.add_argument(
            f'--{name}', default=argument.text, help=argument.description.replace('%', '%%')
        )
    return parser


if __name__ == '__main__':
    sys.exit(main())
