"""How records meet connectors and losses."""

from .shared_connector_distiller import SharedConnectorDistiller

__all__ = ['SharedConnectorDistiller']
