# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node parameters: declared once per node with description, default and range.

They are validated on every change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)

from av_perception.errors import UserError
from av_perception.robot_head.pose_check import check_frame_name
from av_perception.ros.tunable_node import TunableNode

ReadParameter = Callable[[str], Any]  # the value of a parameter by its name


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node."""

    #: Its ROS name.
    name: str
    #: Default, of the parameter's type.
    default: Any
    #: What it means, with the unit.
    description: str
    #: Bounds of a number, both or none.
    minimum: float | None = None
    maximum: float | None = None
    #: Words that a string may be; () for any.
    choices: tuple[str, ...] = ()
    #: Whether it may change while the node is active.
    live: bool = False
    #: Whether a string names a TF frame, if it is not empty.
    is_frame: bool = field(default=False, kw_only=True)

    def descriptor(self) -> ParameterDescriptor:
        """Make the ROS descriptor, so that `ros2 param describe` teaches."""
        text = self.description
        if self.choices:
            text += f' One of: {", ".join(self.choices)}.'
        descriptor = ParameterDescriptor(name=self.name, description=text)
        if self.minimum is None or self.maximum is None:
            return descriptor
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

    def refusal(self, value: Any) -> str:
        """Say why a word is none of the choices, or a number none, '' when it is one."""
        if value != value:  # NaN: no range of ROS refuses it
            return f'{self.name} must be a number, not nan'
        if self.is_frame and value:
            return _frame_refusal(self.name, value)
        if not self.choices or value in self.choices:
            return ''
        given = ' '.join(str(value).split())  # the answer is one line
        return f"{self.name} must be one of {', '.join(self.choices)}, not '{given}'"

    def expectation(self) -> str:
        """Say what values it takes."""
        if self.choices:
            return f'one of {", ".join(self.choices)}'
        kind = type(self.default).__name__
        hint = ' (write 1.0, not 1)' if kind == 'float' else ''
        if self.minimum is None:
            return kind + hint
        return f'{kind} in {self.minimum}..{self.maximum}{hint}'


def _frame_refusal(parameter: str, frame: str) -> str:
    """Say why a text cannot be the name of a frame, '' when it can."""
    try:
        check_frame_name(parameter, frame)
    except ValueError as error:
        return str(error)
    return ''


PUBLISH_TF = Parameter(
    'publish_tf',
    True,
    "Publish the sensor's pose of the head profile on /tf_static; false where the robot's own "
    'description has its frame.',
)
RELIABLE_IMAGES = Parameter(
    'reliable_images',
    False,
    'Subscribe to images reliably, where they cross a network and the driver is reliable too; '
    'best effort fits every driver.',
)


COMPRESSED = Parameter(
    'compressed',
    False,
    'Take images from left/image_raw/compressed and right/image_raw/compressed, as from another '
    'machine.',
)


def declare(node: TunableNode, parameters: tuple[Parameter, ...]) -> None:
    """Declare all parameters on a node, and watch changes.

    Changes that fit are handed to the node's `tune`.

    Raises
    ------
    UserError
        For a value out of type, range or choice.
    """
    for parameter in parameters:
        try:
            node.declare_parameter(parameter.name, parameter.default, parameter.descriptor())
        except Exception as error:  # rclpy raises several unrelated types for a wrong one
            reason = ' '.join(str(error).split())
            raise UserError(
                f'parameter {parameter.name}: {reason}; expected {parameter.expectation()}'
            ) from error
        refusal = parameter.refusal(node.value(parameter.name))
        if refusal:
            raise UserError(f'parameter {refusal}')
    by_name = {parameter.name: parameter for parameter in parameters}

    def validate(changes) -> SetParametersResult:
        for change in changes:
            parameter = by_name.get(change.name)
            reason = parameter and _refusal(node, parameter, change.value)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        proposed = {change.name: change.value for change in changes}
        try:
            with node.handling:
                node.tune(lambda name: proposed[name] if name in proposed else node.value(name))
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(validate)


def _refusal(node: TunableNode, parameter: Parameter, value: Any) -> str:
    """Say why a change cannot be, '' when it can."""
    refusal = parameter.refusal(value)
    if refusal or parameter.live or not node.is_active:
        return refusal
    return f'{parameter.name} takes effect at configure: deactivate and clean up the node first'
