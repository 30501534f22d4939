"""One file per ROS node: parameters to config, message to array, a call of the core, array to message."""
