"""The host's side of plugins: discovery, foreign result types, checks of a target's keys."""
