# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a head's sensors are at one moment, in the frame in which people are tracked."""

from __future__ import annotations

from dataclasses import dataclass

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.robot_head.profile import HeadProfile


@dataclass(frozen=True)
class SensorPoses:
    """Poses of a head and its sensors in the reference frame, in which people are tracked.

    On a head whose camera moves against its microphones (a neck between chest and face) the three
    are independent.
    """

    #: of the head's base frame
    reference_from_base: RigidTransform
    #: of the left camera's optical frame; None: the head has no camera
    reference_from_optical: RigidTransform | None
    #: of the array's frame; None: the head has no microphones
    reference_from_array: RigidTransform | None

    @classmethod
    def of_head(
        cls, head: HeadProfile, reference_from_base: RigidTransform | None = None
    ) -> SensorPoses:
        """Place the sensors of a head where the profile says.

        Parameters
        ----------
        head
            Whose sensors do not move against its base.
        reference_from_base
            Pose of the base frame in the reference frame; None: they are the same.
        """
        base = reference_from_base or RigidTransform()
        optical = base @ head.camera.base_from_optical if head.camera else None
        array = base @ head.microphones.base_from_array if head.microphones else None
        return cls(base, optical, array)

    @property
    def all(self) -> tuple[RigidTransform, ...]:
        """The poses that there are."""
        poses = (self.reference_from_base, self.reference_from_optical, self.reference_from_array)
        return tuple(pose for pose in poses if pose is not None)
