"""Who is around the robot, where they are and who is speaking."""

__version__ = '0.1.0'
