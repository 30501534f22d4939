# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Show a running graph in a browser: people from above, who speaks, the camera's image.

  av-perception view                       beside `up` or a launch file of this machine
  av-perception view --open                opens the browser too
  av-perception view --namespace robot --head my_head.yaml --port 9000

Only browsers of this machine can see it. From a laptop, forward the port to the robot:

  ssh -L 8090:127.0.0.1:8090 robot         then open http://127.0.0.1:8090/

--host 0.0.0.0 lets everybody on the network see people and images. Nothing is kept.
"""

from __future__ import annotations

import argparse
import socket
import webbrowser

from av_perception.cli.namespace import add_namespace_argument
from av_perception.cli.network import add_network_argument
from av_perception.errors import UserError

_ANY_PORT = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        '--head', default='simulated', help='head profile of the graph (default: simulated)'
    )
    parser.add_argument(
        '--reference-frame',
        default='',
        help="with a moving head: the frame of the tracks, as the graph's nodes have it",
    )
    add_namespace_argument(parser, 'namespace of the graph')
    parser.add_argument(
        '--port', type=int, default=8090, help='of the page, 0 for a free one (default: 8090)'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: this machine alone)'
    )
    parser.add_argument('--open', action='store_true', help='open the page in the browser')
    add_network_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; 2 when it cannot."""
    from av_perception.robot_head import load_head
    from av_perception.ros.bringup.environment import prepare_environment

    load_head(options.head)
    if not 0 <= options.port <= 65535:
        raise UserError(f'--port must be 0 to 65535, not {options.port}')
    port = options.port if options.port != _ANY_PORT else _free_port(options.host)
    prepare_environment(network=options.network)
    from av_perception.nodes.web_view import WebViewNode
    from av_perception.ros.process import run_node

    parameters = {
        'head': options.head,
        'reference_frame': options.reference_frame,
        'host': options.host,
        'port': port,
    }
    words = [f'{name}:={value}' for name, value in parameters.items() if value != '']
    remaps = [f'__ns:=/{options.namespace.strip("/")}'] if options.namespace else []
    arguments = ['--ros-args', *(w for r in remaps for w in ('-r', r))]
    arguments += [word for pair in words for word in ('-p', pair)]
    print(f'av-perception: open http://{options.host}:{port}/ in a browser; Ctrl-C ends it')
    if options.open:
        webbrowser.open(f'http://{options.host}:{port}/')
    return run_node(WebViewNode, arguments)


def _free_port(host: str) -> int:
    """Ask the system for a port that nobody listens on. Raises UserError."""
    try:
        with socket.socket() as asked:
            asked.bind((host, _ANY_PORT))
            return asked.getsockname()[1]
    except OSError as error:
        raise UserError(f'cannot listen on {host}: {error.strerror or error}') from error
