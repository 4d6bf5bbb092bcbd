"""Check that the package guards everything that only POSIX has, so that it runs on Windows and macOS.

    python scripts/check_portability.py        in `make check`

Guards are `try` with `except ImportError`, `AttributeError` or `OSError`, `suppress` of one of these, and conditions
with `hasattr`, `os.name` or `sys.platform`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
MODULES: Final = frozenset({"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"})
ATTRIBUTES: Final = {
    "os": re.compile(
        "f?chown|fchmod|fork(pty)?|get(e?[gu]id|loadavg|pgid)|killpg|lchown|mkfifo|nice|pidfd_open|posix_spawn|pread|"
        "pwrite|register_at_fork|sched_getaffinity|setsid|statvfs|sync|sysconf|uname|wait3|wait4|waitid"
    ),
    "signal": re.compile("SIG(ALRM|BUS|CHLD|CONT|HUP|KILL|QUIT|STOP|USR[12])|alarm|pthread_sigmask|setitimer"),
    "select": re.compile("e?poll"),
    "socket": re.compile("AF_UNIX"),
}
PATHS: Final = re.compile(r"^/(dev|etc|proc|run|tmp|var)/")
FORMATS: Final = re.compile(r"%-[dHIjmMSy]")
GUARDS: Final = (
    "ImportError",
    "ModuleNotFoundError",
    "AttributeError",
    "OSError",
    "hasattr",
    "os.name",
    "sys.platform",
)


def problems_in(source: str) -> Iterator[tuple[int, str]]:
    """Line and description of each use of POSIX without a guard."""
    yield from _visit(ast.parse(source), guarded=False)


def _visit(node: ast.AST, *, guarded: bool) -> Iterator[tuple[int, str]]:
    if not guarded and (problem := _problem(node)):
        yield getattr(node, "lineno", 0), problem
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        in_body = field in ("body", "orelse") and _is_guard(node)
        for child in (child for child in children if isinstance(child, ast.AST) and not _is_docstring(child)):
            yield from _visit(child, guarded=guarded or in_body)


def _problem(node: ast.AST) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
        return ", ".join(f"import {name}" for name in sorted(modules & MODULES))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        names = ATTRIBUTES.get(node.value.id)
        return f"{node.value.id}.{node.attr}" if names and names.fullmatch(node.attr) else ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return repr(node.value) if PATHS.match(node.value) or FORMATS.search(node.value) else ""
    return ""


def _is_guard(node: ast.AST) -> bool:
    conditions: list[ast.AST | None] = []
    if isinstance(node, ast.Try):
        conditions = [handler.type for handler in node.handlers]
    elif isinstance(node, ast.If | ast.IfExp):
        conditions = [node.test]
    elif isinstance(node, ast.With):
        conditions = [item.context_expr for item in node.items]
    text = " ".join(ast.unparse(condition) for condition in conditions if condition)
    return any(guard in text for guard in GUARDS)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def main() -> int:
    """Print each use, and return the exit status."""
    found = 0
    for path in sorted((PROJECT / "src").rglob("*.py")):
        for line, problem in problems_in(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(PROJECT)}:{line}: {problem} does not exist on Windows; guard it")
            found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
