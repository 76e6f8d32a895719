"""How a database of one version becomes one of another, by the revisions of Alembic, forth and, without loss, back."""
