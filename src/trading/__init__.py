"""The bar loop of every mode, and the records and protocols it speaks."""
