"""`builtin/reference`: a small Bradley-Terry reward model. Trained by scripts/train_reference.py; card: README.md."""
