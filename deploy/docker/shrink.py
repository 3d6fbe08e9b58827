"""Leave out of an image's packages what no process there reads: `shrink.py SITE_PACKAGES`.

Debug information and symbol tables of native libraries, which many wheels carry and no loader looks at; test
suites and scaffolding of distributions; lexers of languages that nothing shows.
"""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

UNREAD = (
    "alembic/templates",
    "alembic/testing",
    "certifi/tests",
    "sqlalchemy/testing",
)
LEXERS = {"__init__.py", "_mapping.py", "python.py", "special.py"}
"""Of Pygments, which colours Python here and nothing else."""
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ELF_64_LITTLE = b"\x7fELF\x02\x01"


def without_sections(content: bytes) -> bytes:
    """An ELF file as far as the loader reads it: what lies behind the last segment, and its index, go."""
    if len(content) < _HEADER.size or not content.startswith(_ELF_64_LITTLE):
        return content
    header = list(_HEADER.unpack_from(content))
    first, size, count = header[5], header[9], header[10]
    end = first + size * count
    for number in range(count):
        segment = _SEGMENT.unpack_from(content, first + number * size)
        end = max(end, segment[2] + segment[5])
    header[6] = header[12] = header[13] = 0  # of sections: where their table is, how many, which has names
    return _HEADER.pack(*header) + content[_HEADER.size : end]


def shrink(packages: Path) -> None:
    for path in packages.rglob("*.so*"):
        content = path.read_bytes()
        kept = without_sections(content)
        if len(kept) < len(content):
            path.write_bytes(kept)
    for name in UNREAD:
        shutil.rmtree(packages / name, ignore_errors=True)
    for path in packages.glob("pygments/lexers/*.py"):
        if path.name not in LEXERS:
            path.unlink()


if __name__ == "__main__":
    shrink(Path(sys.argv[1]))
