from .tat_connector import TaTConnector

__all__ = ['TaTConnector']
