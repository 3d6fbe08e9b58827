"""What every room speaks of: targets, their health, events, state, and how they are written as JSON."""
