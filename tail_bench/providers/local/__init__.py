"""Reward models that run in this process, with transformers (extra `hf`): `rm/` and `rm-dpo/`."""
