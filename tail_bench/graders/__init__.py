"""The graders as Inspect solvers: each asks a model about one ladder and leaves a judgment in the sample's state."""
