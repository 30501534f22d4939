# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One file per ROS node.

Parameters to config, message to array, a call of the core, array to message.
"""
