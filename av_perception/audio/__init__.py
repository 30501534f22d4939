# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound: capture, features, acoustic maps and the localization of sources."""
