"""The alert rules of `deploy/prometheus/rules.yaml`, which `python -m deploy.alerts` writes."""
