# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a node leaves to the one that the same process makes in its place.

A process that hears nothing any more joins the graph anew: every ROS object is made again, but
what the cores know is still there. People need no new ids, and networks are not loaded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from av_perception.ros.tunable_node import TunableNode

CONFIGURED = (State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE)


class Heir(TunableNode):
    """A node that can go on where its predecessor ended.

    Attributes
    ----------
    inherited : Any
        What the core of its predecessor knew, until `configure` takes it; else None.
    """

    inherited: Any = None

    def core(self) -> Any:
        """Give what a successor goes on with, nothing of ROS; None: it begins anew."""
        return None

    def take_inherited(self) -> Any:
        """Give what the core of this node's predecessor knew, once; else None."""
        inherited, self.inherited = self.inherited, None
        return inherited

    def start(self) -> bool:
        """Configure and activate. False when either failed; `refusal` or `failure` says why."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success


@dataclass(frozen=True)
class Legacy:
    """How a node was when it ended."""

    #: Its state of life (lifecycle_msgs/State).
    state: int
    #: Its parameters, as they were set last.
    parameters: tuple[Parameter, ...]
    #: What its core knows, for `configure` of its successor; None: nothing.
    core: Any

    @staticmethod
    def of(node: Heir) -> Legacy:
        """Write down how a node is, before it is taken down."""
        state, _ = node._state_machine.current_state
        core = node.core() if state in CONFIGURED else None
        names = node.get_parameters_by_prefix('')
        return Legacy(state, tuple(map(node.get_parameter, names)), core)

    def pass_to(self, node: Heir) -> bool:
        """Bring a node to where this one ended; False when that failed."""
        self._restore_parameters(node)
        if self.state not in CONFIGURED:
            return True
        node.inherited = self.core
        if self.state == State.PRIMARY_STATE_ACTIVE:
            return node.start()
        return node.trigger_configure() == TransitionCallbackReturn.SUCCESS

    def _restore_parameters(self, node: Heir) -> None:
        """Set what was set while this node lived; its successor was started as it was."""
        changed = [
            parameter
            for parameter in self.parameters
            if node.has_parameter(parameter.name)
            and node.get_parameter(parameter.name).value != parameter.value
        ]
        if changed:
            node.set_parameters_atomically(changed)
