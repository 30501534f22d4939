# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The services by which a robot's program lets the tracker forget: everybody, or one person."""

from __future__ import annotations

from collections.abc import Callable

from av_perception_msgs.srv import ForgetPerson
from rclpy.node import Node
from std_srvs.srv import Trigger


def offer_people_services(
    node: Node, reset: Callable[[], None], forget: Callable[[int], bool]
) -> None:
    """Offer `~/reset` and `~/forget_person`.

    Parameters
    ----------
    node
        Whose services they are.
    reset
        Forgets everybody.
    forget
        Forgets the person of an id; False when there is none.
    """

    def on_reset(_, response: Trigger.Response) -> Trigger.Response:
        reset()
        node.get_logger().info('everybody is forgotten, as ~/reset asked')
        response.success = True
        response.message = 'everybody is forgotten; ids go on'
        return response

    def on_forget(
        request: ForgetPerson.Request, response: ForgetPerson.Response
    ) -> ForgetPerson.Response:
        response.success = forget(request.id)
        response.message = (
            f'person {request.id} is forgotten'
            if response.success
            else f'nobody has the id {request.id}; ids are those of the topic tracks'
        )
        return response

    node.create_service(Trigger, '~/reset', on_reset)
    node.create_service(ForgetPerson, '~/forget_person', on_forget)
