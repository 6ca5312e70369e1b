"""Pictures: the sentence each answers with, what is drawn, and that they are the same every time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import parts
import pyarrow as pa
import pytest
from matplotlib.dates import num2date
from matplotlib.image import imread
from parts import GOOD, MANY, PART, TODAY, USUAL, check, fill, history, remember

from notebook_pipeline.checks import Report, pictures
from notebook_pipeline.steps import plots
from notebook_pipeline.steps.plots import Picture
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


def preview(*days: str | None) -> pa.Table:
    return pa.table({"changed": pa.array(days, pa.string())})


def heights(picture: Picture) -> list[float]:
    return [bar.get_height() for bar in picture.figure.axes[0].patches]  # type: ignore[attr-defined]


def heights_by_day(picture: Picture) -> dict[date, float]:
    """Return how high the filled area is on each day that has a bar."""
    [bars] = picture.figure.axes[0].collections
    [path] = bars.get_paths()
    return {num2date(round(x)).date(): y for x, y in path.vertices.tolist() if y}  # type: ignore[union-attr]


def test_rows_per_day_of_a_preview() -> None:
    picture = plots.rows_per_day(preview("2024-03-01", "2024-03-03", None, "2024-03-03", "2024-03-09"), PART)
    assert picture.sentence == (
        "The newest of these 4 rows changed on 2024-03-09, half of them on or after 2024-03-03"
    )
    assert heights_by_day(picture) == {date(2024, 3, 1): 1, date(2024, 3, 3): 2, date(2024, 3, 9): 1}
    [axes] = picture.figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("changed (day)", "part rows")


def test_a_preview_without_rows_says_so() -> None:
    picture = plots.rows_per_day(preview(), PART)
    assert picture.sentence == "There are no part rows to look at"
    assert picture.figure.get_suptitle() == picture.sentence
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["No data to plot."]
    without_day = plots.rows_per_day(preview(None), PART)
    assert without_day.sentence == "There are no part rows with a day to look at"


@pytest.mark.parametrize("days", [["0001-01-01"], ["9999-12-31"], ["0001-01-01", "2024-03-01"]])
def test_the_ends_of_the_calendar_can_be_drawn(days: list[str]) -> None:
    """Some sources write 0001-01-01 for a day that they do not know."""
    picture = plots.rows_per_day(preview(*days), PART)
    assert picture._repr_png_()[0].startswith(b"\x89PNG")
    assert sorted(heights_by_day(picture)) == [date.fromisoformat(day) for day in days]


def test_changes_per_day() -> None:
    days = [TODAY - timedelta(back) for back in (3, 2, 1, 0)]
    picture = plots.changes_per_day(dict(zip(days, [5, 0, 7, 0], strict=True)), PART)
    assert picture.sentence == "Changes came in on 2 of the last 4 days, the newest on 2024-03-09"
    assert heights_by_day(picture) == {days[0]: 5, days[2]: 7}
    stuck = plots.changes_per_day(dict.fromkeys(days, 0), PART)
    assert stuck.sentence == "No row changed in the last 4 days, up to 2024-03-10"


def test_bars_are_written_beside_their_names() -> None:
    picture = plots.bars({"QB": 2182, "WR": 7002}, "WR is deep", label="players")
    [axes] = picture.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["QB", "WR"]
    assert {text.get_text() for text in axes.texts} == {"2,182", "7,002"}
    assert axes.get_xlabel() == "players"


def test_nulls_per_column(database: Database) -> None:
    fill(database, GOOD)
    picture = pictures.nulls_per_column(check(database))
    assert picture.sentence == "code has the most nulls: 33.33 % of 3 rows; 3 of 6 columns have none"
    widths = [round(bar.get_width(), 2) for bar in picture.figure.axes[0].patches]  # type: ignore[attr-defined]
    assert widths == [0, 33.33, 0, 33.33, 33.33, 0]


def test_a_table_without_rows_has_no_gaps_to_draw(database: Database) -> None:
    assert pictures.nulls_per_column(check(database)).sentence == "There are no rows to check"
    fill(database, GOOD[:1])
    picture = pictures.nulls_per_column(check(database))
    assert picture.sentence == "None of the 6 columns has nulls in 1 row"


def usual_report(database: Database, **earlier: float) -> Report:
    fill(database, MANY)
    if earlier:
        remember(database, history(**{"rows": 100, "changed": 100, "nulls": 0, "bolts": 75, **earlier}))  # type: ignore[arg-type]
    return check(database, *USUAL)


def test_measured_values_over_runs_within_their_bounds(database: Database) -> None:
    picture = pictures.measured_over_runs(usual_report(database, rows=100))
    titles = ["number of rows", "rows changed yesterday", "share of nulls in code"]
    assert picture.sentence == f"This run is within its bounds in: {', '.join(titles)}"
    assert [axes.get_title(loc="left") for axes in picture.figure.axes] == titles
    assert [axes.get_ylabel() for axes in picture.figure.axes] == ["rows", "rows", "%"]
    assert "X" not in markers(picture)


def markers(picture: Picture) -> list[str]:
    return [str(line.get_marker()) for axes in picture.figure.axes for line in axes.lines]


def test_measured_values_out_of_their_bounds_have_another_shape(database: Database) -> None:
    picture = pictures.measured_over_runs(usual_report(database, rows=150, nulls=20))
    assert picture.sentence == "This run is out of its bounds in: number of rows, share of nulls in code"
    assert markers(picture).count("X") == 2


def test_a_jump_is_out_of_bounds_too(database: Database) -> None:
    picture = pictures.measured_over_runs(usual_report(database, rows=50))
    assert picture.sentence == "This run is out of its bounds in: number of rows"
    assert markers(picture).count("X") == 1


def test_a_side_that_no_check_looks_at_is_open(database: Database) -> None:
    fill(database, MANY)
    remember(database, history(rows=50, changed=100, nulls=0, bolts=75))
    picture = pictures.measured_over_runs(check(database, USUAL[0]))
    assert picture.sentence == "This run is within its bounds in: number of rows"


def test_a_first_run_has_no_bounds(database: Database) -> None:
    picture = pictures.measured_over_runs(usual_report(database))
    assert picture.sentence == "No bounds yet: they need 10 earlier runs; 0 so far"


def test_the_mix_beside_that_of_the_runs_before(database: Database) -> None:
    picture = pictures.mixes(usual_report(database, bolts=75))
    assert picture.sentence == "The mix of kind has not changed"
    legend = picture.figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["this run", "median of up to 5 earlier runs"]
    assert {bar.get_hatch() for bar in picture.figure.axes[0].patches} == {None, "////"}


def test_a_mix_that_moved(database: Database) -> None:
    picture = pictures.mixes(usual_report(database, bolts=60))
    assert picture.sentence == "The mix of kind has changed: bolt most, from 60.00 to 75.00 %"


def test_a_mix_without_history_or_without_rows(database: Database) -> None:
    assert pictures.mixes(check(database, *USUAL)).sentence == "part has no mix of values to compare"
    picture = pictures.mixes(usual_report(database))
    assert picture.sentence == "No earlier run to compare the mix of kind with"
    assert heights(picture) != []


def test_a_table_that_does_not_exist_draws_what_there_is_to_say(database: Database) -> None:
    database.execute("DROP TABLE part")
    report = check(database, *USUAL)
    assert pictures.measured_over_runs(report).sentence == "part has no value to compare between runs"
    assert pictures.mixes(report).sentence == "part has no mix of values to compare"
    assert pictures.nulls_per_column(report).sentence == "There are no rows to check"


def test_a_picture_is_white_has_words_for_the_blind_and_never_varies(
    database: Database,
) -> None:
    report = usual_report(database, rows=150)
    images = [pictures.measured_over_runs(report)._repr_png_() for _ in range(2)]
    assert images[0] == images[1]
    image, metadata = images[0]
    assert metadata == {"alt": "This run is out of its bounds in: number of rows"}
    assert repr(pictures.measured_over_runs(report)) == metadata["alt"]
    assert b"Software" not in image
    assert imread(BytesIO(image))[0, 0].tolist() == [1, 1, 1, 1]


def test_a_long_sentence_is_broken_into_lines() -> None:
    days = {date(2024, 3, 1): 1}
    picture = plots.changes_per_day(days, replace(PART, name="part"))
    assert "\n" not in picture.figure.get_suptitle()
    assert "\n" in plots.empty("word " * 40).figure.get_suptitle()
