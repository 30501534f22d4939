# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which topics and services each node may use, as a policy of SROS2.

`av-perception security` writes it; a test compares it with what the running nodes use.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from av_perception.ros.bringup.graph import NODES, PACKAGE, split

COMPOSED = 'composed'  # the process that nodes share
TOOLS = 'tools'  # doctor, record, replay and the demo's observer
ENABLED = 'ROS_SECURITY_ENABLE'
# What every node of ours publishes and answers (rclpy's life-cycle nodes).
COMMON_PUBLISHED = ('/rosout', '/parameter_events', '/diagnostics', '~/transition_event')
COMMON_SUBSCRIBED = ('/clock', '/parameter_events')
COMMON_SERVICES = (
    '~/change_state',
    '~/describe_parameters',
    '~/get_available_states',
    '~/get_available_transitions',
    '~/get_parameter_types',
    '~/get_parameters',
    '~/get_state',
    '~/get_transition_graph',
    '~/get_type_description',
    '~/list_parameters',
    '~/set_parameters',
    '~/set_parameters_atomically',
)
TF = ('/tf', '/tf_static')
MOTION = ('imu', 'joint_states', 'own_voice')
CLOCKS = ('microphone_array/clock', 'audio_bridge/clock', 'stereo_camera/clock')
LEFT = ('left/image_raw', 'left/image_raw/compressed')
RIGHT = ('right/image_raw', 'right/image_raw/compressed')
INFOS = ('left/camera_info', 'right/camera_info')


@dataclass(frozen=True)
class Access:
    """What a node uses. Names end in * where ids follow."""

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    #: Services that it offers.
    replies: tuple[str, ...] = ()
    #: Services that it calls.
    requests: tuple[str, ...] = ()


ACCESS = {
    'microphone_array': Access(('audio', '/tf_static'), (), ('~/clock',)),
    'audio_bridge': Access(
        ('audio', '/tf_static'), ('driver_audio', 'driver_audio_info'), ('~/clock',)
    ),
    'stereo_camera': Access(
        (*LEFT, *RIGHT, *INFOS, '/tf_static'), ('images_received',), ('~/clock',)
    ),
    'audio_features': Access(('audio_features',), ('audio',), requests=CLOCKS),
    'visual_features': Access(
        ('visual_features', 'mouth_crops', 'images_received'),
        (*LEFT, *RIGHT, *INFOS),
        requests=CLOCKS,
    ),
    'tracker': Access(
        ('tracks', '/tf'),
        ('visual_features', 'audio_features', 'audio', *MOTION, *TF),
        ('~/reset', '~/forget_person'),
    ),
    'speaking_status': Access(
        ('speaking_status',), ('tracks', 'audio', 'mouth_crops', *MOTION, *TF)
    ),
    'voices': Access(('voices/person_*',), ('audio', 'tracks', 'mouth_crops', *TF)),
    'face_itd_fusion': Access(
        ('tracks', 'speaking_status', 'unseen_sound', '/tf'),
        ('visual_features', 'audio', *MOTION),
        requests=CLOCKS,
    ),
    'visualizer': Access(
        ('markers', 'overlay/image_raw'),
        ('tracks', 'speaking_status', 'attention', 'head_poses', *LEFT, *TF),
    ),
    'av_events': Access(
        ('av_events', 'av_event_markers'),
        ('visual_features', 'points', 'audio', *MOTION),
        requests=CLOCKS,
    ),
    'ros4hri_bridge': Access(
        ('/humans/*', 'detections', 'people', '/tf'),
        ('tracks', 'speaking_status', 'head_poses', 'voices/person_*', *LEFT, *TF),
    ),
    'attention': Access(
        ('attention', 'look_at'), ('tracks', 'speaking_status', 'head_poses', *TF)
    ),
    'head_pose': Access(('head_poses',), ('tracks', *LEFT, *TF)),
    'motion_forecast': Access(
        (
            'motion_forecasts',
            'motion_forecast_markers',
            'motion_forecasts/*',
            'skeleton_forecasts/*',
        ),
        ('tracks', 'skeletons/*'),
    ),
    'web_view': Access(
        (),
        ('tracks', 'speaking_status', 'head_poses', 'attention', 'overlay/image_raw', *TF),
    ),
    'truth': Access(('truth',)),
}
# Who looks on hears everything that the nodes publish, and may call their services.
ONLOOKER = ('graph_observer', 'bag_recorder', 'bag_player')


def policy(namespace: str = '') -> str:
    """Write the policy of nodes in a namespace, one enclave for each process.

    Returns
    -------
    str
        XML, version 0.2.0 of the policies of SROS2.
    """
    space = '/' + namespace.strip('/')
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<policy version="0.2.0">', '  <enclaves>']
    for name, access in ACCESS.items():
        lines += _enclave(name, _profile(space, name, access))
    shared, _ = split(NODES)
    lines += _enclave(
        COMPOSED, [x for node in shared for x in _profile(space, node.name, ACCESS[node.name])]
    )
    looks_on = Access(
        publishes=_all(access.publishes for access in ACCESS.values()),
        subscribes=(*_all(access.publishes for access in ACCESS.values()), '/diagnostics'),
        requests=_all(
            tuple(service.replace('~', name) for service in (*COMMON_SERVICES, *access.replies))
            for name, access in ACCESS.items()
        ),
    )
    lines += _enclave(TOOLS, [x for name in ONLOOKER for x in _profile(space, name, looks_on)])
    return '\n'.join([*lines, '  </enclaves>', '</policy>', ''])


def enclave(name: str) -> str:
    """Name the enclave of a process: a node's, COMPOSED or TOOLS."""
    return f'/{PACKAGE}/{name}'


def enclave_words(name: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Give the words behind --ros-args that tell a process its enclave; [] without security."""
    variables = os.environ if environment is None else environment
    return ['--enclave', enclave(name)] if is_enabled(variables) else []


def is_enabled(environment: Mapping[str, str]) -> bool:
    """Whether the user has asked for security."""
    return environment.get(ENABLED, '').lower() == 'true'


def refusal(error: BaseException) -> str:
    """Say in one line that DDS cannot be secure, if that is why no node could be made; else ''."""
    if 'security libraries' not in str(error):
        return ''
    return (
        'ROS_SECURITY_ENABLE=true, but this Fast DDS was built without security, as that of the '
        'Python wheels is: nothing was started; use the Fast DDS of a ROS distribution, or unset '
        'it'
    )


def _quoted(text: str) -> str:
    """Value of an attribute in XML."""
    from xml.sax.saxutils import quoteattr  # brings HTTP and SSL, which no node needs

    return quoteattr(text)


def _all(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for part in parts for name in part}))


def _enclave(name: str, profiles: list[str]) -> list[str]:
    opened = [f'    <enclave path={_quoted(enclave(name))}>', '      <profiles>']
    return [*opened, *profiles, '      </profiles>', '    </enclave>']


def _profile(space: str, name: str, access: Access) -> list[str]:
    parts = (
        ('topics', 'topic', 'publish', (*COMMON_PUBLISHED, *access.publishes)),
        ('topics', 'topic', 'subscribe', (*COMMON_SUBSCRIBED, *access.subscribes)),
        ('services', 'service', 'reply', (*COMMON_SERVICES, *access.replies)),
        ('services', 'service', 'request', access.requests),
    )
    lines = [f'        <profile ns={_quoted(space)} node={_quoted(name)}>']
    for group, one, verb, names in parts:
        if names:
            rows = [f'            <{one}>{found}</{one}>' for found in sorted(set(names))]
            lines += [f'          <{group} {verb}="ALLOW">', *rows, f'          </{group}>']
    return [*lines, '        </profile>']
