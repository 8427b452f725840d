"""Rewards of a whole data set into a score file, without an Inspect run."""
