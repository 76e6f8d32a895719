"""The tests: `unit` mirrors `src`, `integration` puts parts together, `e2e` calls the programs as users do."""
