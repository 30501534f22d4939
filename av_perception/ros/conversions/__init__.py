# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages to the core's data types and back, a module for each kind of data."""

from av_perception.ros.conversions.arrays import typed_array, xyz
from av_perception.ros.conversions.attention import (
    attention_from_msg,
    attention_to_msg,
    look_at_to_msg,
)
from av_perception.ros.conversions.audio import (
    audio_chunk_from_msg,
    audio_chunk_to_msg,
    audio_features_from_msg,
    audio_features_to_msg,
    microphones_of,
)
from av_perception.ros.conversions.cameras import calibration_from_msg, camera_info_to_msg
from av_perception.ros.conversions.faces import visual_features_from_msg, visual_features_to_msg
from av_perception.ros.conversions.forecasts import (
    forecast_frame_from_msg,
    forecast_frame_to_msg,
    forecast_to_path,
    path_type,
)
from av_perception.ros.conversions.head_poses import (
    head_pose_frame_from_msg,
    head_pose_frame_to_msg,
)
from av_perception.ros.conversions.headers import header, ns_from_time, time_from_ns
from av_perception.ros.conversions.images import (
    image_from_compressed_msg,
    image_from_msg,
    image_stamp_ns,
    image_to_msg,
)
from av_perception.ros.conversions.mouths import mouth_frame_from_msg, mouth_frame_to_msg
from av_perception.ros.conversions.poses import (
    direction_to_msg,
    points_from_msg,
    transform_from_msg,
    transform_to_msg,
)
from av_perception.ros.conversions.skeletons import body_forecast_to_msg, joints_from_msg
from av_perception.ros.conversions.tracks import (
    speaking_frame_from_msg,
    speaking_frame_to_msg,
    track_frame_from_msg,
    track_frame_to_msg,
)

__all__ = [
    'attention_from_msg',
    'attention_to_msg',
    'audio_chunk_from_msg',
    'audio_chunk_to_msg',
    'audio_features_from_msg',
    'audio_features_to_msg',
    'body_forecast_to_msg',
    'calibration_from_msg',
    'camera_info_to_msg',
    'direction_to_msg',
    'forecast_frame_from_msg',
    'forecast_frame_to_msg',
    'forecast_to_path',
    'head_pose_frame_from_msg',
    'head_pose_frame_to_msg',
    'header',
    'image_from_compressed_msg',
    'image_from_msg',
    'image_stamp_ns',
    'image_to_msg',
    'joints_from_msg',
    'look_at_to_msg',
    'microphones_of',
    'mouth_frame_from_msg',
    'mouth_frame_to_msg',
    'ns_from_time',
    'path_type',
    'points_from_msg',
    'speaking_frame_from_msg',
    'speaking_frame_to_msg',
    'time_from_ns',
    'track_frame_from_msg',
    'track_frame_to_msg',
    'transform_from_msg',
    'transform_to_msg',
    'typed_array',
    'visual_features_from_msg',
    'visual_features_to_msg',
    'xyz',
]
