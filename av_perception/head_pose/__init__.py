# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How people's heads are turned, and whom they face."""
