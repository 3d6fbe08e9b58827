"""What Alembic runs: the steps, over the connection that it was given."""

from __future__ import annotations

from alembic import context

# One transaction for all steps: a process killed in between leaves what was there before.
context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
