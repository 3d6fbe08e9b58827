"""`python -m floe_monitor`: the same as the `floe-monitor` command."""

from floe_monitor.cli import main

if __name__ == "__main__":
    main()
