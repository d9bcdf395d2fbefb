"""What is measured, one section each; each gives figures that `report` makes tables of."""
