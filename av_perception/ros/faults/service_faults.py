# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What others ask of the nodes: parameters at and beyond their bounds, and life-cycle rounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterDescriptor, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
)

from av_perception.ros.faults.fault import Fault

if TYPE_CHECKING:
    from av_perception.ros.faults.fault_graph import FaultGraph

OUTPUTS = {
    'audio_features': 'audio_features',
    'visual_features': 'visual_features',
    'tracker': 'tracks',
    'speaking_status': 'speaking_status',
}
NODES = tuple(OUTPUTS)
ROUNDS = 20
_OURS = ('use_sim_time', 'autostart', 'start_type_description_service')


class ParameterClient:
    """Reads and sets the parameters of a node through its services."""

    def __init__(self, graph: FaultGraph, node: str):
        """node: its name."""
        self._observer = graph.observer
        self._node = node

    def describe(self) -> dict[str, tuple[ParameterDescriptor, ParameterValue]]:
        """Give description and value of every parameter that is not of ROS itself."""
        names = self._ask(ListParameters, 'list_parameters').result.names
        names = [name for name in names if not name.startswith((*_OURS, 'qos_overrides'))]
        descriptors = self._ask(DescribeParameters, 'describe_parameters', names=names).descriptors
        values = self._ask(GetParameters, 'get_parameters', names=names).values
        return dict(zip(names, zip(descriptors, values)))

    def set(self, name: str, value: ParameterValue) -> str:
        """Set a parameter; gives why it was refused, '' when it was not."""
        parameter = ParameterMsg(name=name, value=value)
        (result,) = self._ask(SetParameters, 'set_parameters', parameters=[parameter]).results
        if result.successful:
            return ''
        return result.reason or 'refused without a reason'

    def _ask(self, kind: Any, service: str, **request: Any) -> Any:
        return self._observer.ask(self._node, kind, service, kind.Request(**request))


def trials(descriptor: ParameterDescriptor) -> list[tuple[ParameterValue, bool]]:
    """Give values at and beyond the bounds, each with whether it must be refused."""
    for bounds in (descriptor.floating_point_range, descriptor.integer_range):
        if bounds:
            return _numbers(float(bounds[0].from_value), float(bounds[0].to_value), descriptor)
    if descriptor.type == ParameterType.PARAMETER_BOOL:
        wrong = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    else:
        wrong = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True)
    return [(wrong, True)]


def _numbers(low: float, high: float, d: ParameterDescriptor) -> list[tuple[ParameterValue, bool]]:
    text = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value='much')
    if d.type == ParameterType.PARAMETER_INTEGER:

        def value(number: float) -> ParameterValue:
            return ParameterValue(type=d.type, integer_value=int(number))

        beyond = [value(low - 1), value(high + 1)]
    else:

        def value(number: float) -> ParameterValue:
            return ParameterValue(type=d.type, double_value=number)

        step = 1e-3 * (high - low)
        beyond = [value(low - step), value(high + step), value(math.nan), value(math.inf)]
    return [
        (value(low), False),
        (value(high), False),
        *((wrong, True) for wrong in (*beyond, text)),
    ]


def set_everything(node: str) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Set every parameter of a node to its bounds and beyond, and back."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        client = ParameterClient(graph, node)
        described = client.describe()
        for name, (descriptor, usual) in described.items():
            for value, must_fail in trials(descriptor):
                reason = client.set(name, value)
                if must_fail and not reason:
                    graph.add_problem(f'{node} took a wrong {name}')
                if reason and must_fail:
                    graph.note(f'{node}: {reason}')
                if not reason:
                    graph.play_at_pace()
                    client.set(name, usual)
        for name, (_, usual) in client.describe().items():
            if usual != described[name][1]:
                graph.add_problem(f'{node} keeps another {name}')
        yield

    return during


def rounds(node: str) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Deactivate and activate a node, again and again."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        for _ in range(ROUNDS):
            for transition in (
                Transition.TRANSITION_DEACTIVATE,
                Transition.TRANSITION_ACTIVATE,
            ):
                if not graph.observer.transition(node, transition):
                    graph.add_problem(f'{node} refused transition {transition}')
        yield

    return during


def made_anew(node: str) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Take a node down to unconfigured, let frames pass, and bring it up again."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        steps = (
            (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP),
            (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE),
        )
        _go(graph, node, steps[0])
        try:
            yield
        finally:
            _go(graph, node, steps[1])

    return during


def _go(graph: FaultGraph, node: str, steps: tuple[int, ...]) -> None:
    for transition in steps:
        if not graph.observer.transition(node, transition):
            graph.add_problem(f'{node} refused transition {transition}')


@contextmanager
def ask_what_is_forbidden(graph: FaultGraph) -> Iterator[None]:
    """Ask all nodes for transitions that an active node does not allow."""
    for node in graph.names:
        for transition in (
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_CLEANUP,
            99,
        ):
            if graph.observer.transition(node, transition):
                graph.add_problem(f'{node} took transition {transition} while active')
            else:
                graph.note(f'{node}: refused transition {transition}')
    yield


SERVICE_FAULTS = (
    *(
        Fault(
            f'parameters-{node}'.replace('_', '-'),
            f'every parameter of {node} at and beyond its bounds',
            set_everything(node),
            ('Parameter .* out of range', 'must be', 'Wrong parameter type'),
            frames=1,
        )
        for node in NODES
    ),
    *(
        Fault(
            f'rounds-{node}'.replace('_', '-'),
            f'{node} is deactivated and activated {ROUNDS} times',
            rounds(node),
            frames=1,
        )
        for node in NODES
    ),
    *(
        Fault(
            f'down-{node}'.replace('_', '-'),
            f'{node} is cleaned up, and configured 2 s later',
            made_anew(node),
            (f'no message on /{OUTPUTS[node]}',),
            keeps_ids=node != 'tracker',
        )
        for node in NODES
    ),
    Fault(
        'forbidden-transitions',
        'transitions that an active node does not allow',
        ask_what_is_forbidden,
        ('refused transition',),
        frames=1,
    ),
)
