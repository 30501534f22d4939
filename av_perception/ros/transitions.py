# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a life-cycle node answers to a transition that its state does not allow."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def refuse_forbidden_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the state does not allow; rclpy lets it end the node by an RCLError."""
    service = next(s for s in node.services if s.srv_type is ChangeState)
    change_state = service.callback

    def answer(request, response):
        wanted = request.transition
        possible = {
            (t[0], t[1]) for t in node._state_machine.available_transitions
        }  # id and label
        if any(
            wanted.label == label if wanted.label else wanted.id == id_ for id_, label in possible
        ):
            return change_state(request, response)
        names = ', '.join(sorted(label for _, label in possible))
        node.get_logger().warning(
            f"refused the transition '{wanted.label or wanted.id}': this node is "
            f'{node._state_machine.current_state[1]} and allows {names or "none"}'
        )
        response.success = False
        return response

    service.callback = answer
