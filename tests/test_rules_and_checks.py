"""What may be declared with a dataset."""

from dataclasses import replace

import pytest
from declared import PLAYER
from parts import PART

from notebook_pipeline.declare.row_conditions import NotNull
from notebook_pipeline.declare.rules_and_checks import EveryRow
from notebook_pipeline.errors import UsageError


def test_a_check_on_a_column_that_is_not_declared_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uses undeclared columns \['colour'\]"):
        replace(PART, checks=(EveryRow(NotNull("colour")),))
    with pytest.raises(UsageError, match=r"several checks named \['kind is not null'\]"):
        replace(PART, checks=(EveryRow(NotNull("kind")), EveryRow(NotNull("kind"), "warn")))


def test_the_players_are_checked() -> None:
    severities = {declared.name: declared.severity for declared in PLAYER.checks}
    assert len(severities) == len(PLAYER.checks) >= 15
    assert severities["player_id is unique"] == severities["number of rows"] == "error"
