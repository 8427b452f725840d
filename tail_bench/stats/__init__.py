"""The statistics: pure functions on numpy arrays. They know nothing of Inspect, graders or files."""
