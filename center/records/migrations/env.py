"""What alembic runs: the migrations on the connection that `center.records.migrations` has opened and locked."""

from alembic import context

from center.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
