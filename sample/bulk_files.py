"""Write the sample's players as bulk files."""

from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sample.players import COUNT, SEED, players


def write_sample(folder: Path, count: int = COUNT, seed: int = SEED) -> list[Path]:
    """Write `players.parquet` and `players.csv`, with reproducible content; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table = players(count, seed)
    parquet, text = folder / "players.parquet", folder / "players.csv"
    pq.write_table(table, parquet, compression="zstd", compression_level=9)
    # No name contains a comma, a quote or a line break, so quoting is not needed.
    pa_csv.write_csv(table, text, pa_csv.WriteOptions(quoting_style="none", quoting_header="none"))
    return [parquet, text]
