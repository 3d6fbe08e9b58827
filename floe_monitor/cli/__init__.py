"""The command line: commands and exit codes; what they do is done elsewhere.

Exit codes: 0 as asked, 1 the answer is no (unhealthy, different, not in time), 2 usage or configuration,
70 a fault of the program, 130 interrupted, 141 the reader of the output has closed it.
"""

from floe_monitor.cli.entry import main

__all__ = ["main"]
