# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a life-cycle node answers to a transition that its state does not allow."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def refuse_forbidden_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the state does not allow.

    rclpy lets it end the node by an RCLError.
    """
    service = next(s for s in node.services if s.srv_type is ChangeState)
    change_state = service.callback
    machine = node._state_machine

    def answer(request: ChangeState.Request, response: ChangeState.Response):
        wanted = request.transition
        possible = {(id_, label) for id_, label, *_ in machine.available_transitions}
        if wanted.label:
            is_possible = any(wanted.label == label for _, label in possible)
        else:
            is_possible = any(wanted.id == id_ for id_, _ in possible)
        if is_possible:
            return change_state(request, response)
        names = ', '.join(sorted(label for _, label in possible))
        node.get_logger().warning(
            f"refused the transition '{wanted.label or wanted.id}': this node is "
            f'{machine.current_state[1]} and allows {names or "none"}'
        )
        response.success = False
        return response

    service.callback = answer
