"""The classes with which a project declares its tables, one table per file: see catalogue.py."""

from notebook_pipeline.declare.api_declarations import Rest, Since, Total
from notebook_pipeline.declare.child import Child
from notebook_pipeline.declare.column import Column
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.declare.paging import NextLink, Offset, PageNumber, SinglePage, Token
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Condition,
    Glob,
    NotInFuture,
    NotNull,
    Pattern,
    Range,
    References,
)
from notebook_pipeline.declare.rules_and_checks import (
    EveryRow,
    Fresh,
    MatchesSource,
    NoRows,
    RejectedShare,
    RowCount,
    Unique,
    UsualChanges,
    UsualMix,
    UsualNulls,
    UsualRowCount,
)

__all__ = [
    "AllowedValues",
    "Child",
    "Column",
    "Condition",
    "Dataset",
    "EveryRow",
    "Files",
    "Fresh",
    "Glob",
    "MatchesSource",
    "NextLink",
    "NoRows",
    "NotInFuture",
    "NotNull",
    "Offset",
    "PageNumber",
    "Pattern",
    "Range",
    "References",
    "RejectedShare",
    "Rest",
    "RowCount",
    "Since",
    "SinglePage",
    "Token",
    "Total",
    "Unique",
    "UsualChanges",
    "UsualMix",
    "UsualNulls",
    "UsualRowCount",
]
