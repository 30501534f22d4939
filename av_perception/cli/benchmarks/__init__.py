# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""One module per benchmark: docstring (its first line is the help text), `add_arguments(parser)` and `run(args) -> int`."""
