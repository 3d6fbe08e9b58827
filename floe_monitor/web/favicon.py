"""The icon of the browser's tab, which says by colour and shape how all is."""

from __future__ import annotations

from floe_monitor.domain.health import HealthStatus

_SHAPES = {
    HealthStatus.HEALTHY: ("#1c8a4d", "M9 17l5 5 9-12"),
    HealthStatus.DEGRADED: ("#b86e00", "M16 8v9M16 23v.5"),
    HealthStatus.UNHEALTHY: ("#c62b27", "M10 10l12 12M22 10L10 22"),
    HealthStatus.UNKNOWN: ("#5b6673", "M12 12a4 4 0 1 1 5.5 3.7Q16 16.5 16 18.5M16 23v.5"),
}


def icon_name(status: HealthStatus) -> str:
    return f"icon-{status.word}.svg"


def icons() -> dict[str, bytes]:
    """SVG by name of file."""
    return {icon_name(status): _draw(*shape) for status, shape in _SHAPES.items()}


def _draw(colour: str, path: str) -> bytes:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="8" fill="{colour}"/><path d="{path}" fill="none" stroke="#fff" '
        'stroke-width="3.6" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    ).encode()
