# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is done to the network between robot and computer, and what must come of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from av_perception.recording import Recording
from av_perception.ros.two_machines.figures import Figures, measured, sentences
from av_perception.ros.two_machines.namespaces import ADDRESSES, COMPUTER, ROBOT, TwoMachines
from av_perception.ros.two_machines.planted_recording import write_planted_recording
from av_perception.ros.two_machines.session import LEAD_S, START_S, Session, Setting, running
from av_perception.ros.two_machines.wire import Conditions

LOSS = Conditions(loss=0.01)
DELAY = Conditions(delay_s=0.02)
RATE = Conditions(rate_bps=20e6)
ALL = Conditions(loss=0.01, delay_s=0.02, rate_bps=20e6)
SLOW = replace(ALL, rate_bps=6e6)
SETTLE_S = 1.5  # after each change of the network
WHILE_S = 6.0  # so long each is looked at
AFTER_S = 5.0  # and after a return
NO_SOUND = 'no message on /audio for'
NO_IMAGES = 'no message on /left/image_raw'
CAMERA_WAITS = 'none has arrived for'
SERVER_PORT = 11811


@dataclass(frozen=True)
class Trial:
    """One state of the network."""

    #: Words with hyphens, for --only.
    name: str
    #: For people.
    what: str
    #: How the network is.
    conditions: Conditions
    #: The cable is pulled out for so long [s].
    away_s: float = 0.0
    #: Regular expressions, each of which /diagnostics must say.
    told: tuple[str, ...] = ()
    #: The graph: 'compressed', 'raw', 'ahead' (the robot's clock) or 'server' (of discovery).
    setup: str = 'compressed'
    #: Whether all images, all sound and all ids must come through.
    is_whole: bool = True


TRIALS = (
    Trial('clean', 'a cable without faults', Conditions()),
    Trial('loss', '1 % of the packets is lost', LOSS),
    Trial('delay', '20 ms each way', DELAY),
    Trial('rate', '20 Mbit/s', RATE),
    Trial('all', '1 % loss, 20 ms, 20 Mbit/s', ALL),
    Trial(
        'slow',
        '1 % loss, 20 ms, 6 Mbit/s',
        SLOW,
        told=('left out.*slower than the camera',),
        is_whole=False,
    ),
    Trial(
        'away-2',
        'the same as `all`, and the link is gone for 2 s',
        ALL,
        away_s=2.0,
        told=(NO_SOUND, NO_IMAGES),
        is_whole=False,
    ),
    Trial(
        'away-5',
        'the same as `all`, and the link is gone for 5 s',
        ALL,
        away_s=5.0,
        told=(NO_SOUND, NO_IMAGES, CAMERA_WAITS),
        is_whole=False,
    ),
    Trial('raw', '1 % loss, 20 ms, 20 Mbit/s; raw images', ALL, setup='raw', is_whole=False),
    Trial(
        'clock',
        "the robot's clock is 0.42 s ahead",
        ALL,
        told=(r'the clock of \S+ is 0\.4\d s ahead of this one',),
        setup='ahead',
    ),
    Trial('server', 'discovery by a server, no multicast', ALL, setup='server'),
)
AHEAD_S = 0.42
SETUPS = ('compressed', 'raw', 'ahead', 'server')
LONGEST_RECOVERY_S = 2.0
MOST_LATENCY_MS = 500.0


@dataclass(frozen=True)
class Result:
    """What came of a trial."""

    trial: Trial
    figures: Figures
    #: By pattern of Trial.told: what was said.
    told: dict[str, str]
    #: So many times slower than real it was.
    slower: float = 1.0

    @property
    def complaints(self) -> list[str]:
        """Say what is not as it must be."""
        trial = self.trial
        figures = self.figures
        found = [f'nobody says {pattern!r}' for pattern, said in self.told.items() if not said]
        if trial.setup == 'raw':  # is there to be compared with
            return found
        if not figures.ids_kept:
            found.append('other ids')
        if figures.recovery_s is not None and figures.recovery_s > LONGEST_RECOVERY_S:
            found.append(f'right again after {figures.recovery_s:.1f} s')
        if figures.lost_in_silence:
            found.append(f'{figures.lost_in_silence} images lost in silence')
        if not trial.away_s and figures.sound_lost:
            found.append(f'{figures.sound_lost} gaps in the sound')
        if figures.oldest_image_ms > MOST_LATENCY_MS:
            found.append(f'an image was {figures.oldest_image_ms:.0f} ms old')
        return found

    def row(self) -> dict[str, Any]:
        """Give what is reported."""
        figures = asdict(self.figures)
        figures['latency_ms'] = list(self.figures.latency_ms)
        return {
            'name': self.trial.name,
            'what': self.trial.what,
            'slower': self.slower,
            **figures,
            'told': [said for said in self.told.values() if said],
            'complaints': self.complaints,
        }


def chosen(names: list[str] | None) -> list[Trial]:
    """Choose trials by name; None takes all. Raises KeyError for a name that there is not."""
    by_name = {trial.name: trial for trial in TRIALS}
    return list(TRIALS) if names is None else [by_name[name] for name in names]


def try_all(
    trials: list[Trial],
    scene: Recording,
    folder: Path,
    slower: float,
    on_start: Callable[[Trial], None] = lambda trial: None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Do the trials; those of a setup to one graph, one after another.

    Parameters
    ----------
    trials
        In any order; results come by setup.
    scene
        The recording of the scene `short`.
    folder
        For the logs of both machines.
    slower
        So many times slower than real everything goes.
    on_start, on_result
        Called before and after each; results are complete when their graph has ended.

    Raises
    ------
    UserError
        Where no two machines can be made, or they do not find each other.
    """
    results: list[Result] = []
    for setup in SETUPS:
        ours = [trial for trial in trials if trial.setup == setup]
        if ours:
            results += _try_on_one_graph(ours, scene, folder / setup, slower, on_start)
        for result in results[len(results) - len(ours) :]:
            on_result(result)
    return results


def _try_on_one_graph(
    trials: list[Trial],
    scene: Recording,
    folder: Path,
    slower: float,
    on_start: Callable[[Trial], None],
) -> list[Result]:
    with _started(trials[0].setup, scene, folder, slower, _duration_s(trials)) as session:
        whiles = [_do(trial, session, on_start) for trial in trials]
    (folder / 'whiles.json').write_text(json.dumps(whiles))  # to look at heard.json by
    results = []
    for trial, (window, returned_ns, mbit_s) in zip(trials, whiles):
        figures = measured(session.heard, window, returned_ns, mbit_s)
        said = sentences(session.heard, window, trial.told)
        results.append(Result(trial, figures, said, slower))
    return results


def _duration_s(trials: list[Trial]) -> float:
    whiles_s = sum(SETTLE_S + WHILE_S + trial.away_s + AFTER_S for trial in trials)
    return LEAD_S + START_S + whiles_s + 10.0


@contextmanager
def _started(
    setup: str, scene: Recording, folder: Path, slower: float, duration_s: float
) -> Iterator[Session]:
    """Start both machines with a cable that is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    places = write_planted_recording(folder / 'recording', scene, duration_s)
    setting = Setting(folder / 'recording', places, folder, slower)
    conditions = Conditions()
    if setup == 'raw':
        setting = replace(setting, computer=('--compressed', 'false'))
    elif setup == 'ahead':
        setting = replace(setting, ahead_s=AHEAD_S)
    elif setup == 'server':
        address = ADDRESSES[COMPUTER]
        server = (_discovery_server(), '-i', '0', '-l', address, '-p', str(SERVER_PORT))
        variables = {'ROS_DISCOVERY_SERVER': f'{address}:{SERVER_PORT}'}
        setting = replace(setting, beside=server, variables=variables)
        conditions = Conditions(has_multicast=False)
    with TwoMachines(conditions) as machines, running(machines, setting) as session:
        yield session


def _discovery_server() -> str:
    """Find the server of Fast DDS: beside this Python where the wheels are, else on the path."""
    name = 'fast-discovery-server'
    here = Path(sys.executable).parent / name
    return str(here) if here.exists() else name


def _do(
    trial: Trial, session: Session, on_start: Callable[[Trial], None]
) -> tuple[tuple[int, int], int | None, float]:
    """Do one trial; gives when it was, when the link came back, and what passed [Mbit/s]."""
    on_start(trial)
    conditions = trial.conditions
    if trial.setup == 'server':
        conditions = replace(conditions, has_multicast=False)
    session.become(conditions)
    session.hold(SETTLE_S)
    wire = session.machines.wires[ROBOT]
    before = wire.counters['bytes']
    returned_ns = None
    if trial.away_s:
        session.machines.plug(False)
        start_ns, returned_ns = session.hold(trial.away_s)
        session.machines.plug(True)
        _, end_ns = session.hold(AFTER_S)
    else:
        start_ns, end_ns = session.hold(WHILE_S)
    passed = wire.counters['bytes'] - before
    mbit_s = 8e3 * passed / (end_ns - start_ns)
    return (start_ns, end_ns), returned_ns, mbit_s
