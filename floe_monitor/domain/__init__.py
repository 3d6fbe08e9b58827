"""What the packages above exchange: targets, health, events, state, and how they are written as JSON."""
