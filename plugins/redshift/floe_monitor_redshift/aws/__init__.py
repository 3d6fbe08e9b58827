"""AWS' side of Redshift: who asks, temporary credentials, the state of the cluster.

By requests of our own: dbt's driver leaves them to AWS' library, which its timeout does not reach.
"""
