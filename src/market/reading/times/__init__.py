"""From a column of times to the opening times of bars: formats, zones, session dates, weeks and months."""
