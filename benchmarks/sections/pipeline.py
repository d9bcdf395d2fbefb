"""The whole pipeline: `meltano run tap-kombo target-postgres` into a real PostgreSQL."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.environments import TAP
from benchmarks.measuring import FailedError, scratch
from benchmarks.options import Options
from benchmarks.places import CACHE
from benchmarks.results import Figures, run
from benchmarks.stand_in import API_KEY, Shape, StandIn
from benchmarks.streams import OFFERS
from benchmarks.tools import TAP_KOMBO
from harness.meltano import Pipeline, installed_plugins
from harness.postgres import postgres

RECORDS = 50_000
MOST_ROUNDS = 3

LOADERS = {
    "plain": {"USE_COPY": "false", "VALIDATE_RECORDS": "true"},
    "COPY": {"USE_COPY": "true", "VALIDATE_RECORDS": "true"},
    "COPY, not validated (as shipped)": {"USE_COPY": "true", "VALIDATE_RECORDS": "false"},
}
"""What is looked at -> settings of target-postgres."""


def measure_pipeline(options: Options) -> Figures:
    """Load offers with each of the settings, and none, and read them with the tap alone."""
    rounds = range(min(options.rounds, MOST_ROUNDS))
    log = CACHE / "pipeline.log"
    log.unlink(missing_ok=True)
    loads: dict[str, list[dict[str, float]]] = {name: [] for name in LOADERS}
    nothing, alone = [], []
    TAP.install()
    with (
        scratch() as folder,
        installed_plugins(lambda: Pipeline(folder, {}, log).install()),
        StandIn(Shape(records=RECORDS)) as kombo,
        StandIn(Shape()) as empty,
    ):
        for number in rounds:
            for name, settings in LOADERS.items():
                print(f"pipeline, round {number + 1}: {name}", flush=True)
                loads[name].append(_load(kombo, settings, log))
            nothing.append(_load(empty, next(iter(LOADERS.values())), log))
            alone.append(run(*TAP_KOMBO.run(kombo, OFFERS)))
    return {"records": RECORDS, "loads": loads, "nothing": nothing, "tap_alone": alone}


def _load(kombo: StandIn, loader: Mapping[str, str], log: Path) -> dict[str, float]:
    """Run the pipeline once, into an empty database.

    Returns:
        Seconds: `wall`; and `cpu` of Meltano, the tap and the target, without PostgreSQL's.

    Raises:
        FailedError: Not all rows are there.
    """
    with scratch() as folder, postgres() as database:
        settings = {
            "TAP_KOMBO_API_URL": kombo.url,
            "TAP_KOMBO_API_KEY": API_KEY,
            "TAP_KOMBO_INTEGRATION_IDS": json.dumps(kombo.shape.integration_ids),
            "TAP_KOMBO__SELECT": json.dumps([f"{stream}.*" for stream in OFFERS]),
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
            **{f"TARGET_POSTGRES_{name}": text for name, text in loader.items()},
        }
        cpu, wall = _children_cpu(), time.perf_counter()
        Pipeline(folder, settings, log).run("target-postgres")
        used = {"wall": time.perf_counter() - wall, "cpu": _children_cpu() - cpu}
        [row] = database.rows("SELECT count(*) AS count FROM kombo.ats_offers")
        if row["count"] != kombo.shape.records:
            raise FailedError(f"{row['count']} of {kombo.shape.records} rows arrived")
        return used


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
