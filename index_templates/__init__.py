"""What Elasticsearch is told about each kind of record; read by archive/elastic/templates.py.

`{prefix}` becomes the setting `archive.prefix`, `{replicas}` becomes `archive.replicas`.
"""
