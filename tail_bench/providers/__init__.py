"""Inspect model providers for reward models. Each is a class of its own; `_registry` tells Inspect their names."""
