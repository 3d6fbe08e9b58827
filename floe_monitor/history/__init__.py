"""A history that outlives the process, in a database. Imported where it is configured."""
