# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as REP-155, ROS for Human-Robot Interaction, sees them."""
