"""What dbt itself says of the profiles written here, beside what the monitor says of the same targets.

`python -m conformance` runs both over every case of every engine and writes `docs/verdicts.md`. One module
per engine in `conformance.engines` arranges the cases; all else is common.
"""
