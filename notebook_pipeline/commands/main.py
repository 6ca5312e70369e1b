"""The command line: `notebook-pipeline run NOTEBOOK [-p NAME VALUE]…` and the other subcommands."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, cast

from notebook_pipeline.commands.adopt import add_adopt
from notebook_pipeline.commands.datasets import add_datasets
from notebook_pipeline.commands.declare import add_declare
from notebook_pipeline.commands.review import add_commands
from notebook_pipeline.commands.run_output import Terminal
from notebook_pipeline.commands.sample import add_sample
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.running.process_exit import QuickEnd

if TYPE_CHECKING:
    from io import TextIOWrapper

    from notebook_pipeline.running.background import Stop

SUCCESS, FAILED, WRONG_USAGE = 0, 1, 2

# papermill imports these for paths in clouds, and a run has no such path. Hiding them alone saves more than a
# third of an empty run: 0.7 s of 2.3 s of CPU, 1.4 s of 3.8 s of wall time (medians of 12 paired runs).
_UNNEEDED = ("azure", "boto3", "gcsfs")
_LONGEST_SECONDS = 1e9
_RUN_OPTIONS = {"-p", "--json", "--cell-timeout", "-h", "--help"}
_PRUNED = (
    "Delete executed notebooks and print the address of each. The last successful one of each notebook is "
    "kept, and so is every one that a row of a dataset refers to; the ledger keeps all runs."
)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of exiting, so that `--json` also applies to usage errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code: 0 success, 1 failed, 2 wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        rest, parameters = _without_parameters(given)
        options = _parser().parse_args(rest)
        options.parameters = parameters
        return options.command(options)
    except BrokenPipeError:  # the reader has closed the pipe
        return FAILED
    except (PipelineError, OSError) as error:
        if given[:1] == ["run"] and "--json" in given:
            _print_json(status="failed", error=str(error))
        _say(f"notebook-pipeline: {error}")
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def _without_parameters(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Extract `-p NAME VALUE` from the arguments: argparse takes a value such as `-x` for an option."""
    rest, parameters = list(arguments), []
    while rest[:1] == ["run"] and "-p" in rest[:-2]:
        at = rest.index("-p")
        _, name, value = rest[at : at + 3]
        if {name, value} & _RUN_OPTIONS:
            break
        parameters.append((name, value))
        del rest[at : at + 3]
    return rest, parameters


def program() -> NoReturn:
    """Run the subcommand and exit with its code (the entry point of the program)."""
    ending = QuickEnd()
    # The locale's encoding may lack a character of a name or a table; escape it instead of failing.
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    ending.code = main()
    sys.exit(ending.code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="notebook-pipeline", description="Run notebooks and review their runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_run(commands)
    add_commands(commands)
    add_datasets(commands)
    add_declare(commands)
    add_adopt(commands)
    _add_prune(commands)
    add_sample(commands)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="run one notebook exactly as Airflow would")
    run.add_argument(
        "notebook", metavar="NOTEBOOK", help="a name in notebooks/, or the path of an .ipynb file"
    )
    run.add_argument(
        "-p", dest="unfinished", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="set a parameter; booleans are true / false",
    )  # fmt: skip
    run.add_argument("--cell-timeout", type=_seconds, metavar="SECONDS", help="time limit of each cell")
    run.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    run.set_defaults(command=_run)


def _add_prune(commands: Any) -> None:
    summary = "delete old executed notebooks that nothing refers to"
    prune = commands.add_parser("prune", help=summary, description=_PRUNED)
    prune.add_argument(
        "--keep-days", type=_count, default=30, metavar="N", help="keep notebooks younger than N days (30)"
    )
    prune.add_argument(
        "--keep-last", type=_count, default=10, metavar="M", help="keep the last M of each notebook (10)"
    )
    prune.set_defaults(command=_prune)


def _run(options: argparse.Namespace) -> int:
    from notebook_pipeline.running.parameters import parse_text
    from notebook_pipeline.running.parameters_cell import read_parameters
    from notebook_pipeline.running.run_notebook import find_notebook, run_notebook

    notebook = find_notebook(options.notebook)
    parameters = parse_text(read_parameters(notebook), _once_each(options.parameters))
    terminal = Terminal()
    with _stopped_by_signals() as stop:
        finished = run_notebook(
            notebook,
            parameters,
            cell_timeout=options.cell_timeout,
            progress_seconds=0 if terminal.is_live else 5,
            report=terminal.say,
            stop=stop,
            unneeded=_UNNEEDED,
        )
    if finished.error:
        _say(f"failed: {finished.error}")
    last_line = f"{finished.status}: {finished.address}"
    if options.json:
        _say(last_line)
        _print_json(
            run_id=finished.run_id,
            status=finished.status,
            artifact=finished.address,
            result=finished.result,
            error=finished.error,
        )
    else:
        print(last_line)
    return SUCCESS if finished.status == "success" else FAILED


@contextmanager
def _stopped_by_signals() -> Iterator["Stop"]:
    """Stop the run when a signal asks this command to end, and record the reason."""
    from notebook_pipeline.running.background import Stop

    stop = Stop()

    def request(number: int, _: object) -> None:
        stop.request(f"stopped by {signal.Signals(number).name}")

    # Signals that are already ignored, for example by nohup, stay ignored.
    taken = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, request) for number in taken}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prune(options: argparse.Namespace) -> int:
    from notebook_pipeline.running.prune import prune

    removed = prune(keep_days=options.keep_days, keep_last=options.keep_last)
    for address in removed:
        print(address)
    _say(f"removed {counted(len(removed), 'executed notebook')}")
    return SUCCESS


def _once_each(pairs: Sequence[Sequence[str]]) -> dict[str, str]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"parameter {', '.join(twice)} is given more than once")
    return {name: value for name, value in pairs}


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < _LONGEST_SECONDS:
        raise ValueError
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError
    return count


def _say(line: str) -> None:
    Terminal().say(line)


def _print_json(**answer: object) -> None:
    """Print the answer of `run --json`, which always has the same names."""
    names = ("run_id", "status", "artifact", "result", "error")
    print(json.dumps({name: answer.get(name) for name in names}, ensure_ascii=False))
