"""The alert rules on trial: promtool's cases, and the replay of outages with real servers."""
