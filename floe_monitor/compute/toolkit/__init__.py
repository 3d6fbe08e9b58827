"""What plugins for engines behind a network share: bounded waits, name look-ups, kept connections."""
