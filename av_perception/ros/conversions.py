# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages to the core's data types and back. Arrays travel as array.array or NumPy, never as lists."""

from __future__ import annotations

import array
from dataclasses import replace

import cv2
import numpy as np
from av_perception_msgs import msg as av
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, TransformStamped, Vector3, Vector3Stamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    AudioChunk,
    AudioFeatures,
    Face,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
    VisualFeatures,
)
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.robot_head.profile import MicrophoneArray

CHANNELS_OF_ENCODING = {'bgr8': 3, 'rgb8': 3, 'mono8': 1, 'bgra8': 4, 'rgba8': 4}

# Start and end of a JPEG image, and what begins the last of its data; none of them can occur in it.
JPEG_START, JPEG_SCAN, JPEG_END = b'\xff\xd8', b'\xff\xda', b'\xff\xd9'


def time_from_ns(stamp_ns: int) -> Time:
    """Nanoseconds -> builtin_interfaces/Time."""
    return Time(sec=int(stamp_ns // 1_000_000_000), nanosec=int(stamp_ns % 1_000_000_000))


def ns_from_time(time: Time) -> int:
    """builtin_interfaces/Time -> nanoseconds."""
    return time.sec * 1_000_000_000 + time.nanosec


def header(stamp_ns: int, frame_id: str) -> Header:
    """A std_msgs/Header."""
    return Header(stamp=time_from_ns(stamp_ns), frame_id=frame_id)


def typed_array(code: str, values) -> array.array:
    """A flat array.array ('f', 'd' or 'B') of NumPy data, one copy, no Python loop."""
    result = array.array(code)
    result.frombytes(
        np.ascontiguousarray(
            values, {'f': np.float32, 'd': np.float64, 'B': np.uint8}[code]
        ).tobytes()
    )
    return result


# ---- sensors


def audio_chunk_to_msg(chunk: AudioChunk, frame_id: str) -> av.AudioChunk:
    """AudioChunk -> message."""
    return av.AudioChunk(
        header=header(chunk.stamp_ns, frame_id),
        sample_rate=chunk.sample_rate,
        channels=chunk.samples.shape[1],
        first_sample=chunk.first_sample,
        samples=typed_array('f', chunk.samples),
    )


def audio_chunk_from_msg(message: av.AudioChunk) -> AudioChunk:
    """Message -> AudioChunk. Raises ValueError when the sample count does not fit the channels."""
    samples = np.frombuffer(message.samples, np.float32)
    if message.channels == 0 or samples.size % message.channels:
        raise ValueError(f'{samples.size} samples do not divide into {message.channels} channels')
    return AudioChunk(
        ns_from_time(message.header.stamp),
        message.sample_rate,
        message.first_sample,
        samples.reshape(-1, message.channels),
    )


def image_stamp_ns(message) -> int:
    """The stamp of an Image or CompressedImage [ns]. Raises ValueError where the driver gives none."""
    stamp_ns = ns_from_time(message.header.stamp)
    if stamp_ns == 0:
        raise ValueError('its stamp is 0: the driver does not stamp its images')
    return stamp_ns


def image_to_msg(image: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """(H, W, 3) uint8 BGR -> message."""
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(image)).cast('B'))
    height, width = image.shape[:2]
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        step=3 * width,
        data=data,
    )


def image_from_msg(message: Image) -> np.ndarray:
    """Message -> (H, W, 3) uint8 BGR. Raises ValueError for an unknown encoding or a size that does not fit the data."""
    channels = CHANNELS_OF_ENCODING.get(message.encoding)
    if channels is None:
        raise ValueError(
            f"encoding '{message.encoding}' is not one of {', '.join(CHANNELS_OF_ENCODING)}"
        )
    data = np.frombuffer(message.data, np.uint8)
    if message.step < channels * message.width or data.size < message.step * message.height:
        raise ValueError(
            f'{data.size} bytes are too few for {message.width}x{message.height} {message.encoding}'
        )
    rows = data[: message.step * message.height].reshape(message.height, message.step)[
        :, : channels * message.width
    ]
    image = rows.reshape(message.height, message.width, channels)
    if message.encoding == 'bgr8':
        return np.ascontiguousarray(
            image
        )  # a view of the message where its rows are not padded: read-only
    if message.encoding.startswith('rgb'):
        image = image[..., 2::-1]
    return np.ascontiguousarray(np.broadcast_to(image[..., :3], (*image.shape[:2], 3)))


def image_from_compressed_msg(message: CompressedImage) -> np.ndarray:
    """Message -> (H, W, 3) uint8 BGR. Raises ValueError for data that is cut short or no image."""
    data = np.frombuffer(message.data, np.uint8)
    if _is_torn(data.tobytes()):
        raise ValueError(f'the JPEG image is torn after {data.size} bytes')
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # of a size that no image has
        image = None
    if image is None:
        raise ValueError(f"{data.size} bytes of format '{message.format}' are no image")
    return image


def _is_torn(data: bytes) -> bool:
    """Whether this is a JPEG image whose end is missing: it would decode, grey from there on.

    Whatever a camera fills its buffer up with behind the end (zeros, often thousands) is no damage;
    an end before the last scan is that of a thumbnail.
    """
    return data.startswith(JPEG_START) and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN)


def camera_info_to_msg(calibration: CameraCalibration, stamp_ns: int, frame_id: str) -> CameraInfo:
    """CameraCalibration -> message."""
    return CameraInfo(
        header=header(stamp_ns, frame_id),
        width=calibration.width,
        height=calibration.height,
        distortion_model=calibration.distortion_model,
        d=typed_array('d', calibration.distortion),
        k=calibration.matrix.ravel(),
        r=calibration.rectification.ravel(),
        p=calibration.projection.ravel(),
    )


def calibration_from_msg(message: CameraInfo, alone: bool = False) -> CameraCalibration:
    """Message -> CameraCalibration; alone: of one camera, see `CameraCalibration.of_driver`.

    Raises ValueError for a camera that is not calibrated, and for values that no camera has.
    """
    model = (
        message.distortion_model or 'plumb_bob'
    )  # drivers of rectified cameras may leave it out
    matrix = np.array(message.k, float).reshape(3, 3)
    rectification = np.array(message.r, float).reshape(3, 3)
    return CameraCalibration.of_driver(
        message.width,
        message.height,
        matrix,
        np.array(message.d, float),
        model,
        rectification,
        np.array(message.p, float).reshape(3, 4),
        alone,
    )


def transform_to_msg(
    parent_from_child: RigidTransform, parent: str, child: str, stamp_ns: int
) -> TransformStamped:
    """RigidTransform -> geometry_msgs/TransformStamped."""
    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    message.transform.translation = Vector3(**_xyz(parent_from_child.translation))
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = (
        float(value) for value in parent_from_child.quaternion_xyzw
    )
    return message


def transform_from_msg(message: TransformStamped) -> RigidTransform:
    """geometry_msgs/TransformStamped -> parent_from_child."""
    translation, rotation = message.transform.translation, message.transform.rotation
    return RigidTransform.from_quaternion(
        (translation.x, translation.y, translation.z),
        (rotation.x, rotation.y, rotation.z, rotation.w),
    )


def direction_to_msg(direction: np.ndarray, frame_id: str, stamp_ns: int) -> Vector3Stamped:
    """(3,) unit vector -> geometry_msgs/Vector3Stamped."""
    return Vector3Stamped(header=header(stamp_ns, frame_id), vector=Vector3(**_xyz(direction)))


def points_from_msg(message: PointCloud2) -> np.ndarray:
    """The finite points of a cloud, (N, 3) [m]. Raises ValueError without float32 fields x, y and z, or for too few bytes."""
    offsets = {f.name: f.offset for f in message.fields if f.datatype == PointField.FLOAT32}
    count = message.width * message.height
    if not {'x', 'y', 'z'} <= offsets.keys() or message.is_bigendian:
        raise ValueError('the cloud has no little-endian float32 fields x, y and z')
    if (
        message.point_step < max(offsets[axis] for axis in 'xyz') + 4
        or len(message.data) < count * message.point_step
    ):
        raise ValueError(
            f'{len(message.data)} bytes are too few for {count} points of {message.point_step}'
        )
    layout = np.dtype(
        {
            'names': list('xyz'),
            'formats': ['<f4'] * 3,
            'offsets': [offsets[axis] for axis in 'xyz'],
            'itemsize': message.point_step,
        }
    )
    cloud = np.frombuffer(message.data, layout, count)
    points = np.column_stack([cloud[axis] for axis in 'xyz']).astype(float)
    return points[np.isfinite(points).all(axis=1)]


# ---- features


def audio_features_to_msg(features: AudioFeatures, frame_id: str) -> av.AudioFeatures:
    """AudioFeatures -> message."""
    subbands = [
        av.SubbandFeature(
            index=k,
            vector=typed_array('f', vector),
            present=typed_array('B', present),
            energy=float(energy),
            valid=bool(valid),
        )
        for k, (vector, present, energy, valid) in enumerate(
            zip(features.vectors, features.present, features.energy, features.valid)
        )
    ]
    return av.AudioFeatures(
        header=header(features.stamp_ns, frame_id),
        voice_activity=float(features.voice_activity),
        subbands=subbands,
    )


def audio_features_from_msg(message: av.AudioFeatures) -> AudioFeatures:
    """Message -> AudioFeatures. Raises ValueError when the sub-bands differ in size."""
    subbands = message.subbands
    if len({(len(s.vector), len(s.present)) for s in subbands}) != 1 or len(
        subbands[0].vector
    ) != len(subbands[0].present):
        raise ValueError('the sub-bands must all have vectors of one size')
    vectors = np.stack([np.frombuffer(s.vector, np.float32) for s in subbands]).astype(float)
    present = np.stack([np.frombuffer(s.present, np.uint8) for s in subbands]).astype(bool)
    return AudioFeatures(
        ns_from_time(message.header.stamp),
        message.voice_activity,
        vectors,
        present,
        np.array([s.energy for s in subbands], float),
        np.array([s.valid for s in subbands], bool),
    )


def visual_features_to_msg(features: VisualFeatures, frame_id: str) -> av.VisualFeatures:
    """VisualFeatures -> message."""
    faces = [
        av.Face(
            box=np.asarray(f.box, np.float32),
            score=float(f.score),
            landmarks=np.asarray(f.landmarks, np.float32).ravel(),
            position=np.asarray(f.position, float),
            covariance=np.asarray(f.covariance, float).ravel(),
            embedding=typed_array('f', f.embedding),
        )
        for f in features.faces
    ]
    return av.VisualFeatures(header=header(features.stamp_ns, frame_id), faces=faces)


def visual_features_from_msg(message: av.VisualFeatures) -> VisualFeatures:
    """Message -> VisualFeatures."""
    faces = tuple(
        Face(
            np.array(f.box, float),
            f.score,
            np.array(f.landmarks, float).reshape(5, 2),
            np.array(f.position, float),
            np.array(f.covariance, float).reshape(3, 3),
            np.array(f.embedding, float),
        )
        for f in message.faces
    )
    return VisualFeatures(ns_from_time(message.header.stamp), faces)


# ---- tracks


def _xyz(vector) -> dict:
    return dict(zip('xyz', (float(value) for value in vector)))


def track_frame_to_msg(frame: TrackFrame, frame_id: str) -> av.TrackArray:
    """TrackFrame -> message."""
    return av.TrackArray(
        header=header(frame.stamp_ns, frame_id),
        tracks=[_track_to_msg(t) for t in frame.tracks],
        voice_active=frame.voice_active,
    )


def _track_to_msg(track: TrackEstimate) -> av.Track:
    message = av.Track(
        id=track.id,
        state=int(track.state),
        position=Point(**_xyz(track.mean[:3])),
        velocity=Vector3(**_xyz(track.mean[3:])),
        covariance=np.asarray(track.covariance, float).ravel(),
        seen=bool(track.seen),
        heard=bool(track.heard),
        predicted=bool(track.predicted),
        last_seen=time_from_ns(track.last_seen_ns),
        last_heard=time_from_ns(track.last_heard_ns),
        visibility=float(track.visibility),
        audio_responsibility=float(track.audio_responsibility),
        subband_responsibility=typed_array('f', track.subband_responsibility),
        has_box=track.box is not None,
    )
    if track.box is not None:
        message.box = np.asarray(track.box, np.float32)
    return message


def track_frame_from_msg(message: av.TrackArray) -> TrackFrame:
    """Message -> TrackFrame."""
    return TrackFrame(
        ns_from_time(message.header.stamp),
        tuple(_track_from_msg(t) for t in message.tracks),
        message.voice_active,
    )


def _track_from_msg(message: av.Track) -> TrackEstimate:
    position, velocity = message.position, message.velocity
    return TrackEstimate(
        message.id,
        LifeState(message.state),
        np.array([position.x, position.y, position.z, velocity.x, velocity.y, velocity.z]),
        np.array(message.covariance, float).reshape(6, 6),
        message.seen,
        message.heard,
        message.predicted,
        ns_from_time(message.last_seen),
        ns_from_time(message.last_heard),
        message.audio_responsibility,
        np.array(message.box, float) if message.has_box else None,
        np.array(message.subband_responsibility, float),
        message.visibility,
    )


def speaking_frame_to_msg(frame: SpeakingFrame, frame_id: str) -> av.SpeakingStatusArray:
    """SpeakingFrame -> message."""
    statuses = [
        av.SpeakingStatus(
            id=s.id,
            speaking=bool(s.speaking),
            probability=float(s.probability),
            since=time_from_ns(s.since_ns),
        )
        for s in frame.statuses
    ]
    return av.SpeakingStatusArray(header=header(frame.stamp_ns, frame_id), statuses=statuses)


def speaking_frame_from_msg(message: av.SpeakingStatusArray) -> SpeakingFrame:
    """Message -> SpeakingFrame."""
    statuses = tuple(
        SpeakingStatus(s.id, s.speaking, s.probability, ns_from_time(s.since))
        for s in message.statuses
    )
    return SpeakingFrame(ns_from_time(message.header.stamp), statuses)


def microphones_of(chunk: AudioChunk, microphones: MicrophoneArray, source: str) -> AudioChunk:
    """The chunk with the microphones' channels alone; source: where it came from, for the message.

    Raises UserError when the stream's channels cannot be the head profile's.
    """
    try:
        samples = microphones.pick_recorded(chunk.samples)
    except UserError as error:
        raise UserError(f'{source} carries {error}') from error
    return chunk if samples is chunk.samples else replace(chunk, samples=samples)
