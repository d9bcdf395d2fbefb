"""The sections of the benchmarks.

Each has `measure`, which returns figures for `results.json`; `ratios`, the claims; and `texts`, the
values of placeholders in `template.md`.
"""
