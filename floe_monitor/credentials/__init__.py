"""References to credentials, their resolution, and what keeps secrets out of outputs."""
