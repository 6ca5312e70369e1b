"""The words from which a weak secret cannot be told."""

from pathlib import Path

from notebook_pipeline.secrets.everyday_words import everyday_words, is_weak


def test_names_of_datasets_columns_notebooks_and_parameters_are_words_even_in_invalid_files(
    home: Path,
) -> None:
    (home / "datasets").mkdir(exist_ok=True)
    (home / "datasets" / "crew.py").write_text('Column("Crew_Id"), Column(name="no name, a text"), 1 / 0')
    (home / "datasets" / "broken.py").write_text("x = = 1")
    found = everyday_words({"full_sweep": "value"})
    assert {"crew", "crew_id", "broken", "full_sweep", "analytics_database"} <= found
    assert not {"value", "no name, a text"} & found


def test_a_secret_is_weak_if_it_is_short_or_within_a_word() -> None:
    words = {"analytics_database"}
    assert [is_weak(secret, words) for secret in ("data", "ANALYTICS", "abcde", "abcdef", "analytics1")] == [
        True,
        True,
        True,
        False,
        False,
    ]
