"""Turn what was received into values of a column's type, and judge them."""
