"""A tap for Kombo as the Singer SDK's template and documentation suggest it, and no more.

It is here to be measured. Do not use it: it loses data (see the design of tap-kombo).
"""
