"""How fast tap-kombo is, beside every other way to read Kombo: `make bench`."""
