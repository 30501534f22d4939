# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is known of people, from faces and sound: VAVIT."""
