"""dbt's profiles.yml, kept equal to the configuration. `docs/profiles.md` says what is guaranteed."""

from floe_monitor.profiles.commands import ProfileDiff, ProfileWrite, diff, show, write
from floe_monitor.profiles.keeper import ProfileKeeper
from floe_monitor.profiles.reconcile import Outcome

__all__ = ["Outcome", "ProfileDiff", "ProfileKeeper", "ProfileWrite", "diff", "show", "write"]
