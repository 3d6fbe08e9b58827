"""The dashboards of `deploy/grafana/dashboards`, which `python -m deploy.grafana` writes."""
