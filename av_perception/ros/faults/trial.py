# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One fault done to a graph, and faults in a row."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.ros.faults.fault import Fault, FaultResult
from av_perception.ros.faults.fault_graph import FaultGraph

# A silence is told after a second, once a second: so many frames more wait for that.
LONGER = 75


class NotWell(UserError):
    """The graph was in disorder before anything was done to it."""


def try_fault(graph: FaultGraph, fault: Fault) -> FaultResult:
    """Let something go wrong and end, and see what the graph makes of it.

    Raises
    ------
    NotWell
        When not all was well before.
    """
    before = graph.settle()
    if before is None:
        raise NotWell(f'the graph was not well before {fault.name}')
    graph.begin_trial()
    start_ns = graph.sensors.now_ns
    mark = graph.watch.mark()
    with fault.during(graph):
        for number in range(fault.frames + LONGER):
            is_enough = fault.is_mute or not fault.told or fault.find(graph.said(mark))
            if number >= fault.frames and is_enough:
                break
            graph.play_at_pace(of_machine=not fault.is_mute)
    frames, after = graph.recover()
    problems = graph.problems(graph.watch.mark())
    if fault.is_harmless and not graph.is_whole_since(start_ns, before):
        problems.append('people were lost meanwhile')
    return FaultResult(
        name=fault.name,
        what=fault.what,
        survived=not problems,
        recovery_frames=frames,
        ids_kept=after == before if fault.keeps_ids else None,
        told=fault.find(graph.said(mark)),
        is_told_of=bool(fault.told),
        problems=tuple(problems),
    )


def try_faults(
    faults: Iterable[Fault],
    recording: Recording,
    log_folder: Path | None = None,
    on_start: Callable[[Fault], None] = lambda fault: None,
    on_result: Callable[[FaultResult], None] = lambda result: None,
) -> list[FaultResult]:
    """Do faults to graphs, one after another; those of a setup to one graph that goes on.

    A graph that a fault has left in disorder is replaced by a new one.

    Parameters
    ----------
    faults
        Which, in order.
    recording
        Of the scene `short`.
    log_folder
        Where the logs of the nodes go; None: nowhere that stays.
    on_start, on_result
        Called before and after each.

    Returns
    -------
    list of FaultResult
        In the same order.
    """
    results = []
    with tempfile.TemporaryDirectory() as scratch, _Graphs(recording) as graphs:
        folder = log_folder or Path(scratch)
        for number, fault in enumerate(faults):
            on_start(fault)
            start = time.monotonic()
            result = _tried(fault, graphs, folder / f'{number:03d}')
            results.append(replace(result, took_s=time.monotonic() - start))
            on_result(results[-1])
    return results


def _tried(fault: Fault, graphs: _Graphs, folder: Path) -> FaultResult:
    if fault.attempt is not None:
        graphs.close()
        folder.mkdir(parents=True, exist_ok=True)
        return replace(fault.attempt(folder), name=fault.name, what=fault.what)
    try:
        result = try_fault(graphs.get(fault.setup, folder), fault)
    except NotWell:  # a fault before may have done lasting harm: another graph has not seen it
        graphs.close()
        result = try_fault(graphs.get(fault.setup, folder / 'again'), fault)
    if not result.survived or result.recovery_frames is None:
        graphs.close()
    return result


class _Graphs:
    """The graph that runs, if one does. A context manager."""

    def __init__(self, recording: Recording):
        self._recording = recording
        self._graph: FaultGraph | None = None

    def __enter__(self) -> _Graphs:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def get(self, setup: str, folder: Path) -> FaultGraph:
        """Give the graph of a setup; a new one where another one runs, or none."""
        if self._graph is not None and self._graph.setup != setup:
            self.close()
        if self._graph is None:
            self._graph = FaultGraph(setup, self._recording, folder).__enter__()
        return self._graph

    def close(self) -> None:
        """Stop it."""
        if self._graph is not None:
            self._graph.__exit__()
            self._graph = None
