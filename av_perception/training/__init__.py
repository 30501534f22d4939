# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What makes the weights that ship. PyTorch is imported here alone (extra `train`)."""
