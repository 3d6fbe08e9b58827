"""The HTTP surface: metrics, health, API and status page over one state."""
