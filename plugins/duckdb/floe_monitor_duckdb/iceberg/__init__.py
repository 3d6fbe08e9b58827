"""Iceberg REST catalogs: their description, the requests that prove one sound, the SQL that attaches it.

Nothing here imports the rest of the plugin but `errors`, `sql` and `time_limit`.
"""
