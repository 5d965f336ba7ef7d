"""docs/reference/configuration.md is what the settings say."""

from pathlib import Path

from ops.config.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == reference(), "run: make docs"
