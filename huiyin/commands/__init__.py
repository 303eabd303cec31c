"""The commands of `huiyin`, one file a group; `huiyin/cli.py` collects them."""
