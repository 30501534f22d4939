# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to processes: killed, halted, without processor, without disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.benchmarks.busy_processes import busy_processes
from av_perception.ros.bringup.lock_step import wait_until_active
from av_perception.ros.faults.fault import Fault
from av_perception.ros.faults.service_faults import NODES, OUTPUTS
from av_perception.ros.port_watch import listened_ports
from av_perception.ros.privacy import SHARED_MEMORY

if TYPE_CHECKING:
    from av_perception.ros.faults.fault_graph import FaultGraph

PATIENCE_S = 120.0  # of wall time
# So much may the recorder write, to any file: the shared memory of DDS takes 16 MiB.
FULL_BYTES = 24 << 20
_LIMITED = (
    'import os, resource, sys; '
    'resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); '
    'os.execv(sys.argv[2], sys.argv[2:])'
)
POLL_S = 0.05


def killed(node: str) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Kill a node's process; it is started again when the fault ends."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        process = graph.runner.processes[node]
        process.kill()
        process.wait()
        yield
        deadline = time.monotonic() + PATIENCE_S
        while not graph.runner.revive() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        wait_until_active(graph.observer, graph.runner, [node])

    return during


def halted(node: str) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Halt a node's process, and let it go on when the fault ends."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        pid = graph.runner.processes[node].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return during


def deafened(node: str | None = None) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Take a process's ports in shared memory away; node: whose, None where there is but one."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        processes = graph.runner.processes
        process = next(iter(processes.values())) if node is None else processes[node]
        for port in listened_ports(Path('/proc', str(process.pid))):
            (SHARED_MEMORY / port).unlink(missing_ok=True)
        yield

    return during


@contextmanager
def all_halted(graph: FaultGraph) -> Iterator[None]:
    """Halt the one process of all nodes."""
    (process,) = graph.runner.processes.values()
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextmanager
def without_processor(graph: FaultGraph) -> Iterator[None]:
    """Keep all cores busy."""
    del graph
    with busy_processes(os.cpu_count() or 1):
        yield


@contextmanager
def without_disk(graph: FaultGraph) -> Iterator[None]:
    """Let a recorder run beside the graph where the disk takes no more."""
    folder = Path(graph.folder) / f'bag_{time.monotonic_ns()}'
    log = folder.with_suffix('.txt')
    words = ['-m', 'av_perception.cli.main', 'record', '--images', '-o', str(folder)]
    with open(log, 'wb') as file:
        recorder = subprocess.Popen(
            [sys.executable, '-c', _LIMITED, str(FULL_BYTES), sys.executable, *words],
            env=graph.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield
        deadline = time.monotonic() + PATIENCE_S
        while recorder.poll() is None and time.monotonic() < deadline:
            graph.play_at_pace()
    finally:
        recorder.kill()
        recorder.wait()
    text = log.read_text(errors='replace')
    if recorder.returncode != 2 or 'Traceback' in text:
        graph.add_problem(f'the recorder ended with {recorder.returncode}: {text[-300:]}')
    graph.note(text.strip().splitlines()[-1] if text.strip() else '')


_LISTENERS = {node: f'no message on /{topic}' for node, topic in OUTPUTS.items()}
PROCESS_FAULTS = (
    Fault(
        'all-halted',
        'the process of all nodes is halted for 3 s',
        all_halted,
        ('held up',),
        frames=75,
        is_mute=True,
    ),
    Fault(
        'all-deafened',
        'the shared memory of the process of all nodes is taken away',
        deafened(),
        ('joined the graph anew',),
    ),
    Fault('cores-busy', 'all cores are taken by others', without_processor),
    Fault(
        'disk-full',
        'a recorder finds the disk full',
        without_disk,
        ('bag cannot grow|bag could not be finished',),
        frames=1,
    ),
    *(
        Fault(
            f'killed-{node}'.replace('_', '-'),
            f'{node} is killed and started again',
            killed(node),
            (_LISTENERS[node],),
            setup='processes',
            keeps_ids=node != 'tracker',
        )
        for node in NODES
    ),
    *(
        Fault(
            f'halted-{node}'.replace('_', '-'),
            f'{node} is halted for 3 s',
            halted(node),
            (_LISTENERS[node], 'held up'),
            frames=75,
            is_mute=True,
            setup='processes',
        )
        for node in NODES
    ),
    *(
        Fault(
            f'deafened-{node}'.replace('_', '-'),
            f'the shared memory of {node} is taken away',
            deafened(node),
            ('joined the graph anew',),
            setup='processes',
        )
        for node in ('visual_features', 'tracker')
    ),
    Fault(
        'halted-visual-features-longer',
        'visual_features is halted for 8 s',
        halted('visual_features'),
        (_LISTENERS['visual_features'], 'held up'),
        frames=200,
        is_mute=True,
        setup='processes',
    ),
)
