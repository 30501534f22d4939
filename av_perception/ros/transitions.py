# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a life-cycle node answers to a transition that its state does not allow."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def refuse_forbidden_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the state does not allow; in rclpy an RCLError ends the node."""
    service = next(s for s in node.services if s.srv_type is ChangeState)
    change_state = service.callback

    def answer(request, response):
        wanted = request.transition
        labels = {t[0]: t[1] for t in node._state_machine.available_transitions}  # by id
        if wanted.label in labels.values() or not wanted.label and wanted.id in labels:
            return change_state(request, response)
        state = node._state_machine.current_state[1]
        node.get_logger().warning(
            f"refused the transition '{wanted.label or wanted.id}': this "
            f'node is {state} and allows {", ".join(labels.values()) or "none"}'
        )
        response.success = False
        return response

    service.callback = answer
