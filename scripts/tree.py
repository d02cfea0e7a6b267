"""Print how large the package is: lines, functions, docstrings. A mirror, not a gate.

python scripts/tree.py [FOLDER]
"""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path


def main() -> None:
    """Print a row a module, longest first, and a summary."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "vidstega")
    modules = {path: ast.parse(path.read_text()) for path in sorted(root.rglob("*.py"))}
    bodies = {path: bodies_of(tree) for path, tree in modules.items()}
    lines = {path: len(path.read_text().splitlines()) for path in modules}
    for path in sorted(lines, key=lambda path: -lines[path]):
        longest = max(bodies[path], default=0)
        print(f"{lines[path]:6,}  longest body {longest:3}  {path.relative_to(root)}")
    every = sorted(size for sizes in bodies.values() for size in sizes)
    said = sum(map(docstring_lines, modules.values())) / max(sum(lines.values()), 1)
    print(f"{sum(lines.values()):6,}  lines in {len(lines)} modules, {said:.0%} of them docstrings")
    print(
        f"bodies: median {statistics.median(every):.0f}, 90th percentile {every[int(0.9 * len(every))]}, "
        f"longest {every[-1]}"
    )


def bodies_of(tree: ast.Module) -> list[int]:
    """Lines of the bodies of all functions of a module."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return [body(node) for node in ast.walk(tree) if isinstance(node, functions)]


def body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    statements = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def docstring_lines(tree: ast.Module) -> int:
    """Lines of all docstrings of a module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return sum(len(text.splitlines()) for text in texts if text)


if __name__ == "__main__":
    main()
