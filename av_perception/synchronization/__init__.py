# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What comes between the front ends and the trackers: pairing by stamps and checks."""
