"""Pictures of appeals and key posts: links kept sealed, fetched, stored by hash, read offline."""
