"""What plugins for engines behind a network share: bounded waits, dialling, HTTP, kept connections."""
