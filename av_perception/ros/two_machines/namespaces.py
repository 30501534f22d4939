# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Two namespaces of the network, and between them a cable whose faults are chosen.

Kernels need not have netem (this project's test machines lack it), so each namespace gets a TAP
device, and a thread here carries the frames from one to the other.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from av_perception.errors import UserError
from av_perception.ros.two_machines.wire import Conditions, Wire

ROBOT = 'robot'
COMPUTER = 'computer'
ADDRESSES = {ROBOT: '10.99.0.1', COMPUTER: '10.99.0.2'}
TUN = Path('/dev/net/tun')
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
LONGEST_FRAME = 2048
LONGEST_WAIT_S = 0.05
MOST_AT_ONCE = 64  # frames that are read before others are written


def why_not() -> str:
    """Say why two machines cannot be made here; '' when they can."""
    if not sys.platform.startswith('linux') or shutil.which('ip') is None:
        return 'two machines on one need Linux and the command ip (package iproute2)'
    if os.geteuid() != 0:
        return 'two machines on one need root, to make namespaces of the network: use sudo'
    if not TUN.exists():
        return f'two machines on one need {TUN}: load the module tun'
    name = f'avp_try_{os.getpid()}'
    if subprocess.run(['ip', 'netns', 'add', name], capture_output=True, check=False).returncode:
        return 'no namespace of the network can be made here, as in most containers'
    subprocess.run(['ip', 'netns', 'del', name], capture_output=True, check=False)
    return ''


class TwoMachines:
    """Two namespaces that see each other alone. Use as a context manager.

    Attributes
    ----------
    wires : dict
        By the machine that sends: the Wire to the other one.
    """

    def __init__(self, conditions: Conditions | None = None):
        """Make nothing yet."""
        conditions = conditions or Conditions()
        self.wires = {name: Wire(conditions, seed) for seed, name in enumerate(ADDRESSES)}
        self._stack = ExitStack()
        self._taps: dict[str, int] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> TwoMachines:
        """Raise UserError where it cannot be."""
        reason = why_not()
        if reason:
            raise UserError(reason)
        with ExitStack() as stack:
            for name, address in ADDRESSES.items():
                self._taps[name] = _make_machine(self.namespace(name), address, stack)
            thread = threading.Thread(target=self._carry, name='cable', daemon=True)
            thread.start()
            stack.callback(thread.join, 5.0)
            stack.callback(self._stopping.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def namespace(self, machine: str) -> str:
        """Name the namespace of a machine."""
        return f'avp_{machine}_{os.getpid()}'

    def command(self, machine: str, words: list[str]) -> list[str]:
        """Give the command that runs another one on a machine, with a shared memory of its own."""
        own_memory = 'mount -t tmpfs -o size=512m tmpfs /dev/shm && exec "$@"'
        inside = ['ip', 'netns', 'exec', self.namespace(machine)]
        return [*inside, 'sh', '-c', own_memory, 'sh', *words]

    def become(self, conditions: Conditions) -> None:
        """Change the cable."""
        for wire in self.wires.values():
            wire.conditions = conditions

    def plug(self, is_up: bool) -> None:
        """Plug the cable in, or pull it out."""
        for wire in self.wires.values():
            wire.is_up = is_up

    def _carry(self) -> None:
        """Carry frames until it ends (in a thread)."""
        others = {ROBOT: COMPUTER, COMPUTER: ROBOT}
        while not self._stopping.is_set():
            due_s = [due for w in self.wires.values() if (due := w.next_due_s()) is not None]
            wait_s = max(0.0, min(due_s, default=float('inf')) - time.monotonic())
            readable, _, _ = select.select(
                list(self._taps.values()), [], [], min(wait_s, LONGEST_WAIT_S)
            )
            for name, tap in self._taps.items():
                if tap in readable:
                    self._read(tap, self.wires[name])
            for name, wire in self.wires.items():
                for frame in wire.pop_due(time.monotonic()):
                    _write(self._taps[others[name]], frame)

    def _read(self, tap: int, wire: Wire) -> None:
        now_s = time.monotonic()
        try:
            for _ in range(MOST_AT_ONCE):
                wire.push(os.read(tap, LONGEST_FRAME), now_s)
        except OSError:  # nothing more waits
            pass


def _write(tap: int, frame: bytes) -> None:
    try:
        os.write(tap, frame)
    except OSError:  # the device's own queue is full, or it is not up yet
        pass


def _make_machine(namespace: str, address: str, stack: ExitStack) -> int:
    """Make a namespace with a TAP device and an address; gives the device's descriptor."""
    _ip('netns', 'add', namespace)
    stack.callback(_ip, 'netns', 'del', namespace)
    tap = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    stack.callback(os.close, tap)
    device = namespace.replace('avp_', '')[:15]
    fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH', device.encode(), IFF_TAP | IFF_NO_PI))
    _ip('link', 'set', device, 'netns', namespace)
    inside = ('-n', namespace)
    _ip(*inside, 'link', 'set', 'lo', 'up')
    _ip(*inside, 'link', 'set', device, 'up')
    _ip(*inside, 'addr', 'add', f'{address}/24', 'dev', device)
    _ip(*inside, 'route', 'add', 'default', 'dev', device)
    return tap


def _ip(*words: str) -> None:
    done = subprocess.run(['ip', *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f'ip {" ".join(words)}: {done.stderr.strip()}')
