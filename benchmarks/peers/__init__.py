"""What tap-kombo is measured against.

Each runs as a process of its own. Those that are scripts get the path of a `Task` as their
argument, and import nothing of this project: their environments do not have it.
"""
