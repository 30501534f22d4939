# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that people look at: the overlay on the image, the timeline, and their palette."""
