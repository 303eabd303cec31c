"""The engine for more than one machine: an Elasticsearch 8 cluster."""
