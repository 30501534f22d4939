# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node parameters: declared once per node with description, default and range, validated on every change."""

from __future__ import annotations

from dataclasses import dataclass

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)

from av_perception.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node. minimum and maximum bound numbers; choices lists the words a string may be; live: may change while active."""

    name: str
    default: object
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor, so that `ros2 param describe` teaches."""
        text = self.description + (f' One of: {", ".join(self.choices)}.' if self.choices else '')
        descriptor = ParameterDescriptor(name=self.name, description=text)
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, int):
                descriptor.integer_range = [
                    IntegerRange(from_value=int(self.minimum), to_value=int(self.maximum), step=1)
                ]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(
                        from_value=float(self.minimum), to_value=float(self.maximum), step=0.0
                    )
                ]
        return descriptor


PUBLISH_TF = Parameter(
    'publish_tf',
    True,
    "Publish the sensor's pose of the head profile on /tf_static; false where the robot's own description has its frame.",
)


def declare(node, parameters: tuple[Parameter, ...]) -> None:
    """Declare all parameters on a node, and watch changes: what fits is handed to the node's `tune`. Raises UserError for a value out of type, range or choice."""
    for parameter in parameters:
        try:
            node.declare_parameter(parameter.name, parameter.default, parameter.descriptor())
        except (
            Exception
        ) as error:  # rclpy raises several unrelated types for a wrong type or range
            raise UserError(
                f'parameter {parameter.name}: {" ".join(str(error).split())}; expected {_expectation(parameter)}'
            ) from error
        if parameter.choices and node.get_parameter(parameter.name).value not in parameter.choices:
            raise UserError(
                f'parameter {parameter.name} must be one of {", ".join(parameter.choices)}, '
                f"not '{node.get_parameter(parameter.name).value}'"
            )
    by_name = {p.name: p for p in parameters}

    def validate(changes) -> SetParametersResult:
        for change in changes:
            parameter = by_name.get(change.name)
            if parameter is None:
                continue
            if parameter.choices and change.value not in parameter.choices:
                return SetParametersResult(
                    successful=False,
                    reason=f'{change.name} must be one of {", ".join(parameter.choices)}',
                )
            if not parameter.live and node.is_active:
                return SetParametersResult(
                    successful=False,
                    reason=f'{change.name} takes effect at configure: deactivate and clean up the node first',
                )
        proposed = {change.name: change.value for change in changes}
        try:
            node.tune(lambda name: proposed[name] if name in proposed else node.value(name))
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(validate)


def _expectation(parameter: Parameter) -> str:
    kind = type(parameter.default).__name__
    if parameter.choices:
        return f'one of {", ".join(parameter.choices)}'
    hint = ' (write 1.0, not 1)' if kind == 'float' else ''
    return (
        kind + hint
        if parameter.minimum is None
        else f'{kind} in {parameter.minimum}..{parameter.maximum}{hint}'
    )
