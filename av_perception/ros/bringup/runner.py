# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the graph's nodes as processes, watches them and stops them.

It is what `ros2 launch` does, where there is no launch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from av_perception.config import dump_yaml
from av_perception.errors import UserError
from av_perception.paths import share_directory
from av_perception.ros.bringup.access import COMPOSED, enclave_words
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.bringup.graph import (
    IMAGE_PARAMETERS,
    RESPAWN_DELAY_S,
    NodeDescription,
    Selection,
    split,
)
from av_perception.ros.bringup.usage import Usage, cpu_of_nodes, process_usage
from av_perception.ros.lifeline import STOP_GRACE_S, Lifeline, name_leftovers


class GraphRunner:
    """The processes of one graph.

    Use as a context manager: leaving it stops every process, by force if need be. They end with
    this process too, however it ends; those of an earlier start that did not are named at the
    start.

    Parameters
    ----------
    nodes : tuple of NodeDescription
        One process for each.
    arguments : dict
        Values of graph.ARGUMENTS, and of graph.IMAGE_PARAMETERS.
    namespace : str
        Of all nodes and topics.
    params_file : str
        YAML file with parameters; '' for the shipped one.
    log_folder : Path or None
        One file for each node goes there, and the overrides; None: the nodes write to our own
        output.
    overrides : dict or None
        Further parameters by name of the node.
    log_level : str
        As ROS names it.
    environment : dict or None
        Of the processes; None takes our own.
    composed : Selection or None
        The nodes of this Selection in one process, but for those that are always apart.
    respawn : bool
        That process makes a node again that ended by itself (a process of its own is for
        `revive`).
    ros_arguments : sequence of str
        Further words behind --ros-args, for all nodes.
    """

    def __init__(
        self,
        nodes: tuple[NodeDescription, ...],
        arguments: dict,
        namespace: str = '',
        params_file: str = '',
        log_folder: Path | None = None,
        overrides: dict[str, dict] | None = None,
        log_level: str = 'info',
        environment: dict | None = None,
        composed: Selection | None = None,
        respawn: bool = False,
        ros_arguments: Sequence[str] = (),
    ):
        self._nodes = nodes
        self._arguments = arguments
        self._overrides = overrides or {}
        self._composed = composed
        self._respawn = respawn
        self._lifeline = Lifeline()
        self._ros_arguments = [
            '--log-level',
            log_level,
            '--params-file',
            params_file or str(share_directory() / 'config' / 'params.yaml'),
            *ros_arguments,
        ]
        if namespace:
            self._ros_arguments += ['-r', f'__ns:=/{namespace.strip("/")}']
        self._log_folder = log_folder
        self._environment = prepare_environment(dict(environment or os.environ))
        self.processes: dict[str, subprocess.Popen] = {}
        self._commands: dict[str, list[str]] = {}
        # When a process was first found ended [s], until it is revived.
        self._ended: dict[str, float] = {}

    def __enter__(self) -> GraphRunner:
        name_leftovers()
        try:
            apart = self._nodes
            if self._composed is not None:
                shared, apart = split(self._nodes)
                if shared:
                    self._start_composed(self._composed)
            for node in apart:
                self.start(node)
        except BaseException:  # Ctrl-C among them: nobody else would stop those that have started
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self, node: NodeDescription) -> None:
        """Start one node's process."""
        names = (*node.arguments, *IMAGE_PARAMETERS)  # who takes no images knows neither of these
        values = {k: self._arguments[k] for k in names if k in self._arguments}
        values |= self._overrides.get(node.name, {})
        words = ['--ros-args', *enclave_words(node.name, self._environment)]
        words += [*self._ros_arguments, *_parameter_words(values)]
        self.start_module(node.name, node.module, words, node.niceness)

    def _start_composed(self, selection: Selection) -> None:
        options = {
            'head': self._arguments['head'],
            **selection.words(),
            'respawn': str(self._respawn).lower(),
        }
        words = [word for name, value in options.items() for word in (f'--{name}', value)]
        words += ['--ros-args', *enclave_words(COMPOSED, self._environment)]
        words += [*self._ros_arguments, *_parameter_words(self._arguments)]
        if self._overrides:
            words += ['--params-file', str(self._write_overrides())]
        self.start_module(COMPOSED, 'av_perception.ros.bringup.composed', words)

    def _write_overrides(self) -> Path:
        """Write the parameters of single nodes to a file: on a command line they are for all."""
        path = self.log_file(COMPOSED).with_suffix('.yaml')
        sections = {
            f'/**/{name}': {'ros__parameters': values} for name, values in self._overrides.items()
        }
        path.write_text(dump_yaml(sections))
        return path

    def start_module(
        self, name: str, module: str, arguments: list[str], niceness: int = 0
    ) -> None:
        """Start a Python module as one more process.

        It has a group of its own, so that Ctrl-C reaches it through us only.
        """
        nice = ['nice', '-n', str(niceness)]
        self._commands[name] = [*nice, sys.executable, '-m', module, *arguments]
        self._spawn(name)

    def _spawn(self, name: str) -> None:
        output = None if self._log_folder is None else open(self.log_file(name), 'ab')
        try:
            self.processes[name] = self._lifeline.start(
                name,
                self._commands[name],
                self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()

    def log_file(self, name: str) -> Path:
        """Tell where a node's output goes."""
        if self._log_folder is None:
            raise ValueError('there is no folder for logs: give log_folder')
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return self._log_folder / f'{name}.log'

    def failed(self) -> dict[str, int]:
        """Give name and exit status of the nodes that have ended, for whatever reason."""
        return {
            name: code
            for name, process in self.processes.items()
            if (code := process.poll()) is not None
        }

    def raise_ended(self) -> None:
        """Name a node that has ended, with its last words. Raises UserError."""
        for name, status in self.failed().items():
            raise UserError(
                f'the node {name} ended with status {status}: {self.last_words(name)} '
                f'(log: {self.log_file(name)})'
            )

    def revive(self, delay_s: float = RESPAWN_DELAY_S) -> list[str]:
        """Start again what ended `delay_s` ago or earlier; call it now and then.

        Returns
        -------
        list of str
            The names.
        """
        now = time.monotonic()
        revived = []
        for name in self.failed():
            if now - self._ended.setdefault(name, now) >= delay_s:
                del self._ended[name]
                self._spawn(name)
                revived.append(name)
        return revived

    def usage(self) -> dict[str, Usage]:
        """Measure every process that runs, where the system tells (/proc).

        In one process the nodes are told apart by the names of their threads, without memory of
        their own; `composed` is then what remains.
        """
        usage = {
            name: found
            for name, process in self.processes.items()
            if process.poll() is None and (found := process_usage(process.pid))
        }
        whole = usage.get(COMPOSED)
        if whole is not None:
            names = tuple(node.name for node in split(self._nodes)[0])
            cpu_s = cpu_of_nodes(self.processes[COMPOSED].pid, names)
            usage[COMPOSED] = Usage(whole.cpu_s - sum(cpu_s.values()), whole.peak_mib)
            usage |= {name: Usage(spent_s, 0.0) for name, spent_s in cpu_s.items()}
        return usage

    def last_words(self, name: str) -> str:
        """Find the last error line of a node's log, for a message to the user."""
        lines = []
        if self._log_folder:
            lines = self.log_file(name).read_text(errors='replace').splitlines()
        errors = [line for line in lines if '[ERROR]' in line or 'error:' in line.lower()]
        return (errors or lines or ['no output'])[-1].strip()

    def stop(self, grace_s: float = STOP_GRACE_S) -> dict[str, int]:
        """Send SIGINT to all, wait, then SIGKILL to who does not listen.

        Returns
        -------
        dict of str to int
            The exit statuses.
        """
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + grace_s
        for process in self.processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._lifeline.close()
        return {name: process.returncode for name, process in self.processes.items()}


def _parameter_words(values: dict) -> list[str]:
    return [word for name, value in values.items() for word in ('-p', f'{name}:={_yaml(value)}')]


def _yaml(value) -> str:
    """Write a parameter value as --ros-args reads it.

    Strings are quoted so that '5' stays a string and '' is one.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    quoted = value.replace("'", "''")
    return f"'{quoted}'"
