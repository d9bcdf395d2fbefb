from benchmarks.naive_tap.tap import NaiveTap

NaiveTap.cli()
