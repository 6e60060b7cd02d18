"""docs/testing.md and docs/compare.md name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGES = "".join((TESTS.parent / "docs" / name).read_text(encoding="utf-8") for name in ("testing.md", "compare.md"))
NAMED = sorted(set(re.findall(r"([\w/]+\.py)::(\w+)", PAGES)))


def test_the_pages_name_tests():
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file, name):
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
