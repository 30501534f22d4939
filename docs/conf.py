# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How Sphinx makes the pages: `make docs` writes them to docs/_build."""

from av_perception import __version__

project = 'av_perception'
author = 'The av_perception developers'
copyright = '2026, The av_perception developers'
release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'numpydoc']
myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 3
# Messages are built where ROS is; the pages are not.
autodoc_mock_imports = ['av_perception_msgs', 'rclpy']
numpydoc_show_class_members = False
html_theme = 'furo'
exclude_patterns = ['_build']
# Pages name files of the repository beside docs; they are no pages.
suppress_warnings = ['myst.xref_missing']
