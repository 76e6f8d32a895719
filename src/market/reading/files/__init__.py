"""From a file to a table: encoding, layout of a text file, envelopes of JSON. What a column means is not asked here."""
