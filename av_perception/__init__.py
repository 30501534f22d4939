# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is around the robot, where they are and who is speaking."""

__version__ = '0.1.0'
