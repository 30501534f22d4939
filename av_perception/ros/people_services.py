# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The services by which a robot's program lets the tracker forget: everybody, or one person."""

from __future__ import annotations

from collections.abc import Callable

from av_perception_msgs.srv import ForgetPerson
from std_srvs.srv import Trigger

from av_perception.ros.node import PerceptionNode
from av_perception.tracking.tracker import Tracker


def offer_people_services(node: PerceptionNode, tracker: Callable[[], Tracker]) -> None:
    """Offer `~/reset` and `~/forget_person`; no more than once for a node.

    Parameters
    ----------
    node
        Whose services they are.
    tracker
        Gives the tracker of the moment: a node that is configured again makes a new one.
    """
    if any(service.srv_type is ForgetPerson for service in node.services):
        return

    def reset(_, response: Trigger.Response) -> Trigger.Response:
        with node.handling:
            tracker().reset()
        node.get_logger().info('everybody is forgotten, as ~/reset asked')
        response.success = True
        response.message = 'everybody is forgotten; ids go on'
        return response

    def forget(
        request: ForgetPerson.Request, response: ForgetPerson.Response
    ) -> ForgetPerson.Response:
        with node.handling:
            response.success = tracker().forget(request.id)
        unknown = f'nobody has the id {request.id}; ids are those of the topic tracks'
        response.message = f'person {request.id} is forgotten' if response.success else unknown
        return response

    node.create_service(Trigger, '~/reset', reset)
    node.create_service(ForgetPerson, '~/forget_person', forget)
