"""The place of a new run among those in the ledger: its id sorts after theirs, whatever the clock says."""

from dataclasses import replace

from notebook_pipeline import settings
from notebook_pipeline.connections import sqlite_path
from notebook_pipeline.running.background import Say
from notebook_pipeline.running.plan import Plan
from notebook_pipeline.running.run_identity import new_run_id, seconds_ahead
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.ledger import newest_run_id
from notebook_pipeline.storage.tables import refuse_foreign

# The clocks of machines that share a database differ by less.
_NOTEWORTHY_SECONDS = 60


def in_order(plan: Plan, say: Say) -> Plan:
    """Return the plan with an id after those of all runs so far.

    Raises UsageError, with nothing written to the database, if the run's dataset has a table that another
    program made.
    """
    is_file = plan.database.conn_type == "sqlite"
    if is_file and not sqlite_path(plan.database).is_file():
        return plan
    # Opened for writing, a file of another program would be switched to a write-ahead log.
    with connect(plan.database, read_only=is_file) as database:
        dataset = plan.parameters.get("dataset")
        if isinstance(dataset, str) and (settings.datasets() / f"{dataset}.py").is_file():
            refuse_foreign(database, dataset)
        newest = newest_run_id(database)
    if plan.run_id > newest:
        warn_of_clock(newest, say)
        return plan
    run_id = new_run_id(newest)
    # Outside Airflow, the id of the run names its folder, too.
    by_itself = plan.identity.dag_run_id == plan.run_id
    identity = replace(plan.identity, dag_run_id=run_id) if by_itself else plan.identity
    return replace(plan, run_id=run_id, identity=identity)


def warn_of_clock(newest: str, say: Say) -> None:
    """Warn if the newest run began later than this machine's clock says that it is."""
    ahead = seconds_ahead(newest)
    if ahead > _NOTEWORTHY_SECONDS:
        say(
            f"warning: the newest run in the ledger, {newest}, is {ahead:,.0f} s ahead of the clock of this "
            "machine: one of the clocks is or was wrong. Ids of new runs go on from there; set the clock"
        )
