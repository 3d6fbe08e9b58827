"""dbt's profiles.yml, kept equal to the configuration. `docs/profiles.md` says what is guaranteed."""

from floe_monitor.profiles.commands import ProfileDiff, ProfileWrite, diff, show, write
from floe_monitor.profiles.reconcile import Outcome
from floe_monitor.profiles.synchronizer import ProfileSynchronizer

__all__ = ["Outcome", "ProfileDiff", "ProfileSynchronizer", "ProfileWrite", "diff", "show", "write"]
