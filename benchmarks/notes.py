"""What is not like for like: what each tool does more, or less, than tap-kombo."""

from __future__ import annotations

NOTES = {
    "naive SDK tap": (
        "is written the way the Singer SDK's template and documentation suggest, with the same "
        "schemas, and writes the same messages. It asks for one page after the other, because the "
        "SDK does. It does less: no check of the key, no question what an integration can give, "
        "no field that the schema does not know, no care for Kombo's clock, so that it loses "
        "changes (`benchmarks/naive_tap`)."
    ),
    "Airbyte CDK": (
        "runs a declarative manifest with an incremental cursor, as the connector builder makes "
        "it, by `source-declarative-manifest read`. It writes Airbyte's messages, which carry "
        "more around each record, and keeps its bookmarks by `changed_at`. That a record does not "
        "say which integration it came from is in its favour: a field more would be made from a "
        "template for each record. Its platform (a container for each source and each target, a "
        "scheduler) is not measured."
    ),
    "dlt, extract only": (
        "is dlt's `rest_api` source with an incremental cursor, extracted into dlt's own files on "
        "disk, which nobody can load yet. A Singer tap writes to a pipe, and types are not looked "
        "at here, nor is it told which integration a record came from, so this does less than the "
        "tap."
    ),
    "dlt, into files": (
        "is the same with normalizing and loading, into compressed JSON lines in a folder. That "
        "includes what in Singer is the target's work (nested data become tables of their own), "
        "so this does more than the tap."
    ),
    "official client": (
        "reads pages into Kombo's own models and counts them. It writes nothing, keeps no state "
        "and retries nothing by itself, so a pipeline around it costs more. It has no LMS: where "
        "those lists are read, it reads offers and jobs a second time."
    ),
    "official client, own threads": (
        "is the same with a pool of eight threads around it, which its user has to write."
    ),
    "limit: bytes only": (
        "is urllib3, one connection, every page fetched and thrown away. It shows what the "
        "stand-in and the network cost, and that neither is what limits the others."
    ),
    "limit: decode and encode": (
        "adds what no tool that writes JSON messages can do without: decoding a page and encoding "
        "its records, by msgspec, the fastest that there is for it. No schema, no state, no "
        "failure."
    ),
}
"""Tool -> sentences that go on after its name."""
