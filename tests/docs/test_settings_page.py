"""docs/settings.md says what the settings are."""

from __future__ import annotations

from pathlib import Path

from spark_pd.settings import SETTINGS
from spark_pd.settings.page import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_that_of_the_settings():
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run scripts/settings-page"


def test_every_setting_is_on_it_once():
    page = settings_page()
    for setting in SETTINGS:
        assert page.count(f"| `{setting.name}`") == 1
