# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a head's sensors are at one moment, in the frame in which people are tracked."""

from __future__ import annotations

from dataclasses import dataclass

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.robot_head.profile import HeadProfile


@dataclass(frozen=True)
class SensorPoses:
    """Poses of the head's base, of its left camera's optical frame and of its array (None: the head has none) in the reference frame.

    On a head whose camera moves against its microphones (a neck between chest and face) the three are independent.
    """

    reference_from_base: RigidTransform
    reference_from_optical: RigidTransform | None
    reference_from_array: RigidTransform | None

    @classmethod
    def of_head(
        cls, head: HeadProfile, reference_from_base: RigidTransform = RigidTransform()
    ) -> SensorPoses:
        """Of a head whose sensors do not move against its base: as the profile says."""
        return cls(
            reference_from_base,
            reference_from_base @ head.camera.base_from_optical if head.camera else None,
            reference_from_base @ head.microphones.base_from_array if head.microphones else None,
        )

    @property
    def all(self) -> tuple[RigidTransform, ...]:
        """Those that there are."""
        return tuple(
            p
            for p in (
                self.reference_from_base,
                self.reference_from_optical,
                self.reference_from_array,
            )
            if p is not None
        )
